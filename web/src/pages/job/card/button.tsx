import { h } from "preact";
import { errorText } from "../../../api/client";
import { number } from "../../../lib/format";
import { features } from "../../../store/features";
import { Button } from "../../../ui/controls/button";
import { say } from "../../../ui/controls/live";
import { floating } from "../../../ui/floating";

/** Opens the dialog with the card; its code comes with it. */
async function open(id: string, step: number | undefined): Promise<void> {
  try {
    const { CardDialog } = await import("./dialog");
    const before = floating.peek();
    const close = (): void => {
      floating.value = before;
    };
    floating.value = () => h(CardDialog, { id, step, onClose: close });
  } catch (error) {
    say(`Studio could not load what shows a card: ${errorText(error)}`);
  }
}

/** Where what a job made has a model card: of its end, or of the checkpoint of `step`. */
export function CardButton({ id, step }: { id: string; step?: number }) {
  if (!features.value.has("card")) return null;
  const of = step === undefined ? "" : ` of step ${number(step)}`;
  return (
    <Button small kind="quiet" aria-label={`Model card${of}`} onClick={() => void open(id, step)}>
      {step === undefined ? "model card" : "card"}
    </Button>
  );
}
