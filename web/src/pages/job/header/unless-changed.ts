import { ApiError } from "../../../api/client";
import { clean } from "../../../lib/text";
import { confirm } from "../../../ui/dialog";

/** Does it, and once more by force where its data or model has changed since and the person says so; true when it was done. */
export async function unlessChanged(
  verb: string,
  act: (body: { force?: true }) => Promise<unknown>,
): Promise<boolean> {
  try {
    await act({});
  } catch (error) {
    if (!(error instanceof ApiError) || error.extra.changed !== true) throw error;
    const text = `${clean(error.message, 500)} What comes out is not what would have come without the pause.`;
    const action = `${verb} all the same`;
    if (!(await confirm({ title: "Something has changed since", text, action }))) return false;
    await act({ force: true });
  }
  return true;
}
