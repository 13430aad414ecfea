/** Shows how rows would change to fix a finding, before they are written. */
import { api, useAnswer, useAttempt } from "../../../api/client";
import type { DataFixes } from "../../../contract.gen";
import { number, plural } from "../../../lib/format";
import { clean } from "../../../lib/text";
import { Button } from "../../../ui/controls/button";
import { Dialog } from "../../../ui/dialog";
import { Diff } from "../../../ui/diff";
import { ErrorNote } from "../../../ui/empty";
import { Skeleton } from "../../../ui/skeleton";
import { remember, undoOf } from "./history";

/** Rows in the preview; the rest is counted. */
const MAX_PREVIEW_ROWS = 100;

interface Props {
  trainer: string;
  code: string;
  row?: number | undefined;
  /** The row on screen. */
  chosen: number;
  written: (label: string) => void;
  onClose: () => void;
}

export function FixDialog({ trainer, code, row, chosen, written, onClose }: Props) {
  const { busy, error: unwritten, attempt } = useAttempt();
  const body = { trainer, only: [code], ...(row === undefined ? {} : { row }) };
  const preview = { method: "POST", body: { ...body, preview: true } } as const;
  const { answer: fixes, error: unread } = useAnswer(
    (signal) => api<DataFixes>("/data/fixes", { ...preview, signal }),
    [],
  );
  const error = unread ?? unwritten;
  const write = (): Promise<void> =>
    attempt(async () => {
      const { undo, rows } = await api<DataFixes>("/data/fixes", { method: "POST", body });
      const label = `Fixed ${plural(rows, "row")}`;
      if (undo !== undefined) remember({ label, undo: undoOf(undo), row: chosen });
      onClose();
      written(label);
    });
  const hunks = (fixes?.diff ?? "").split(/^(?=@@ )/m).filter(Boolean);
  return (
    <Dialog title={fixes ? `Fix ${plural(fixes.rows, "row")}` : "Fix"} wide onClose={onClose}>
      {error !== null ? (
        <ErrorNote error={error} />
      ) : fixes === null ? (
        <Skeleton lines={5} height={18} />
      ) : (
        <>
          {fixes.leftOut.map((sentence) => (
            <p key={sentence}>{clean(sentence, 300)}</p>
          ))}
          {hunks.length > 0 ? (
            <div class="data-fix-hunks">
              {hunks.slice(0, MAX_PREVIEW_ROWS).map((hunk) => {
                const [head = "", ...lines] = hunk.split("\n");
                return (
                  <div key={head}>
                    <p class="hint">{clean(head.replaceAll("@@", "").trim(), 300)}</p>
                    <Diff text={lines.join("\n")} />
                  </div>
                );
              })}
            </div>
          ) : (
            fixes.leftOut.length === 0 && (
              <p>Nothing here can be fixed without losing text. Edit these rows by hand.</p>
            )
          )}
          {hunks.length > MAX_PREVIEW_ROWS && (
            <p class="hint num">and {number(hunks.length - MAX_PREVIEW_ROWS)} more rows</p>
          )}
        </>
      )}
      <div class="ui-dialog-actions">
        <Button data-focus onClick={onClose}>
          Back
        </Button>
        {fixes !== null && fixes.rows > 0 && error === null && (
          <Button kind="primary" busy={busy} onClick={() => void write()}>
            Change {plural(fixes.rows, "row")}
          </Button>
        )}
      </div>
    </Dialog>
  );
}
