/** Words a certificate for the page. Pure. */
import type { Certificate, ForgetRepeat } from "../../../contract.gen";
import { number, plural } from "../../../lib/format";
import { clean } from "../../../lib/text";

/** `Continued from step 4 of the job a … 60 % of its 10 steps were trained again.` */
export function shareWords({ message, start, steps }: Certificate): string {
  const share = steps > 0 ? 100 * (1 - start / steps) : 100;
  return `${clean(message, 400)} ${number(share, 0)} % of its ${number(steps)} steps were trained again.`;
}

/** What is known where no text was found; `unsearched` are the places that were not searched. */
export function notFoundWords(their: string, unsearched: number): string {
  if (unsearched === 0) return `${their} text was not found on this machine.`;
  return `${their} text was not found in what could be searched; ${plural(unsearched, "place")} not searched.`;
}

/** The certificate of an answer. Throws for one whose lists are none: it may be any backend's. */
export function certificateOf({ certificate }: { certificate?: Certificate }): Certificate {
  const { rows, copies, dependents, unsearched, deleted } = certificate ?? {};
  if (!certificate || ![rows, copies, dependents, unsearched, deleted].every(Array.isArray))
    throw new Error("The certificate is unreadable.");
  return certificate;
}

export function repeatWords({ state, same }: ForgetRepeat, them: string): string {
  if (state === "training")
    return `A training from the start without ${them} is under way, to compare the bits.`;
  if (state === "failed") return `The training from the start without ${them} failed.`;
  return `Trained from the start without ${them}: ${same ? "the same bits" : "the weights differ"}.`;
}
