import { errorText } from "../../api/client";
import type { Job } from "../../contract.gen";
import { say } from "../../ui/controls/live";

/** Asks before jobs are deleted; true if confirmed. Loads its code with the first question. */
export async function askToDelete(list: readonly Job[]): Promise<boolean> {
  try {
    return await (await import("./dialogs")).askToDelete(list);
  } catch (error) {
    say(`Couldn't load the deletion: ${errorText(error)}`);
    return false;
  }
}
