import { h } from "preact";
import { errorText } from "../../../api/client";
import type { Job } from "../../../contract.gen";
import { say } from "../../../ui/controls/live";
import { floating } from "../../../ui/floating";

/** Opens the dialog that extends a job; loads its code. */
export async function openExtend(job: Job): Promise<void> {
  try {
    const { ExtendDialog } = await import("../dialogs");
    const before = floating.peek();
    const close = (): void => {
      floating.value = before;
    };
    floating.value = () => h(ExtendDialog, { job, onClose: close });
  } catch (error) {
    say(`Couldn't load the extension: ${errorText(error)}`);
  }
}
