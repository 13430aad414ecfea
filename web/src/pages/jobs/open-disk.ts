import { h } from "preact";
import { openDialog } from "../../ui/floating";

/** Opens the dialog of disk usage. */
export const openDisk = (): Promise<void> =>
  openDialog("Couldn't load the disk usage", async () => {
    const { DiskDialog } = await import("./dialogs");
    return (onClose) => h(DiskDialog, { onClose });
  });
