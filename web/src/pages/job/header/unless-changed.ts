import { ApiError } from "../../../api/client";
import { clean } from "../../../lib/text";
import { confirm } from "../../../ui/dialog";

/** Performs an action; if the job's data or model have changed, asks before forcing it. True when done. */
export async function unlessChanged(
  verb: string,
  act: (body: { force?: true }) => Promise<unknown>,
): Promise<boolean> {
  try {
    await act({});
  } catch (error) {
    if (!(error instanceof ApiError) || error.extra.changed !== true) throw error;
    const text = `${clean(error.message, 500)} The result will differ from an uninterrupted run.`;
    const action = `${verb} anyway`;
    if (!(await confirm({ title: "Data or model have changed", text, action }))) return false;
    await act({ force: true });
  }
  return true;
}
