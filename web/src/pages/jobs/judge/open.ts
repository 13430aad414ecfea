import { h } from "preact";
import { features } from "../../../store/features";
import { openDialog } from "../../../ui/floating";

export const canJudge = (): boolean => features.value.has("adapters") && features.value.has("evaluation");

/** Opens the dialog that judges an adapter, with a folder that was dropped if there is one. */
export const openJudge = (dropped: DataTransfer | null = null): Promise<void> =>
  openDialog("Couldn't read the folder", async () => {
    // Before the code has loaded: dropped files can be read only during this event.
    const entries = dropped && [...dropped.items].map((item) => item.webkitGetAsEntry());
    const { JudgeDialog, filesOf } = await import("../dialogs");
    const files = entries && (await filesOf(entries));
    return (onClose) => h(JudgeDialog, { dropped: files, onClose });
  });
