/** Words a certificate for the page. Pure. */
import type { Certificate, ForgetRepeat } from "../../../contract.gen";
import { number } from "../../../lib/format";
import { clean } from "../../../lib/text";

/** `Continued from step 4 of the job a … 60 % of its 10 steps were trained again.` */
export function shareWords({ message, start, steps }: Certificate): string {
  const share = steps > 0 ? 100 * (1 - start / steps) : 100;
  return `${clean(message, 400)} ${number(share, 0)} % of its ${number(steps)} steps were trained again.`;
}

export function repeatWords({ state, same }: ForgetRepeat): string {
  if (state === "training") return "It is being trained from the start without them, to compare the bits.";
  if (state === "failed") return "The training from the start without them failed.";
  return same
    ? "Trained from the start without them: the same bits."
    : "Trained from the start without them: the weights differ.";
}
