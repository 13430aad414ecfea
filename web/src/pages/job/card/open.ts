import { h } from "preact";
import { openDialog } from "../../../ui/floating";

/** Opens the model card of a job's final adapter, or of the checkpoint of `step`. */
export const openCard = (id: string, step: number | undefined): Promise<void> =>
  openDialog("Couldn't load the model card", async () => {
    const { CardDialog } = await import("../dialogs");
    return (onClose) => h(CardDialog, { id, step, onClose });
  });
