import { h } from "preact";
import type { Job } from "../../../contract.gen";
import { openDialog } from "../../../ui/floating";

/** Opens the dialog that extends a job. */
export const openExtend = (job: Job): Promise<void> =>
  openDialog("Couldn't load the extension", async () => {
    const { ExtendDialog } = await import("../dialogs");
    return (onClose) => h(ExtendDialog, { job, onClose });
  });
