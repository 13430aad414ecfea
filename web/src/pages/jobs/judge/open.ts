import { h } from "preact";
import { errorText } from "../../../api/client";
import { features } from "../../../store/features";
import { say } from "../../../ui/controls/live";
import { floating } from "../../../ui/floating";

export const canJudge = (): boolean => features.value.has("adapters") && features.value.has("evaluation");

/** Opens the dialog that judges an adapter, with a folder that was dropped if there is one; loads its code. */
export async function openJudge(dropped: DataTransfer | null = null): Promise<void> {
  try {
    // Before the code has loaded: dropped files can be read only during this event.
    const entries = dropped && [...dropped.items].map((item) => item.webkitGetAsEntry());
    const { JudgeDialog, filesOf } = await import("../dialogs");
    const files = entries && (await filesOf(entries));
    const before = floating.peek();
    const close = (): void => {
      floating.value = before;
    };
    floating.value = () => h(JudgeDialog, { dropped: files, onClose: close });
  } catch (error) {
    say(`Couldn't read the folder: ${errorText(error)}`);
  }
}
