import { h } from "preact";
import { errorText } from "../../../api/client";
import { say } from "../../../ui/controls/live";
import { floating } from "../../../ui/floating";

/** Opens the model card of a job's final adapter, or of the checkpoint of `step`; loads its code. */
export async function openCard(id: string, step: number | undefined): Promise<void> {
  try {
    const { CardDialog } = await import("../dialogs");
    const before = floating.peek();
    const close = (): void => {
      floating.value = before;
    };
    floating.value = () => h(CardDialog, { id, step, onClose: close });
  } catch (error) {
    say(`Couldn't load the model card: ${errorText(error)}`);
  }
}
