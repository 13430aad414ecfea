/** The dialogs of a job's page, as one chunk that is loaded with the first of them. */
export { CardDialog } from "./card/dialog";
export { ExtendDialog } from "./header/extend-dialog";
