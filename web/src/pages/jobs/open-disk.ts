import { h } from "preact";
import { errorText } from "../../api/client";
import { say } from "../../ui/controls/live";
import { floating } from "../../ui/floating";

/** Opens the dialog of disk usage; loads its code. */
export async function openDisk(): Promise<void> {
  try {
    const { DiskDialog } = await import("./dialogs");
    const before = floating.peek();
    const close = (): void => {
      floating.value = before;
    };
    floating.value = () => h(DiskDialog, { onClose: close });
  } catch (error) {
    say(`Couldn't load the disk usage: ${errorText(error)}`);
  }
}
