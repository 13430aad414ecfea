/** The dialogs of the jobs page, as one chunk that is loaded with the first of them. */
export { askToDelete } from "./deletion/ask-delete";
export { DiskDialog } from "./disk-dialog";
export { filesOf } from "./judge/adapter-files";
export { JudgeDialog } from "./judge/dialog";
export { QueueDialog } from "./queue-dialog";
