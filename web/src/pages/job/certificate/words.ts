/** Words a certificate for the page. Pure. */
import type { Certificate, ForgetRepeat } from "../../../contract.gen";
import { number } from "../../../lib/format";
import { clean } from "../../../lib/text";

/** `Continued from step 4 of the job a … 60 % of its 10 steps were trained again.` */
export function shareWords({ message, start, steps }: Certificate): string {
  const share = steps > 0 ? 100 * (1 - start / steps) : 100;
  return `${clean(message, 400)} ${number(share, 0)} % of its ${number(steps)} steps were trained again.`;
}

export function repeatWords({ state, same }: ForgetRepeat, them: string): string {
  if (state === "training")
    return `A training from the start without ${them} is under way, to compare the bits.`;
  if (state === "failed") return `The training from the start without ${them} failed.`;
  return `Trained from the start without ${them}: ${same ? "the same bits" : "the weights differ"}.`;
}
