/** The model card of a job's result: shown as text, and copied as the file. */
import { api, useAnswer } from "../../../api/client";
import type { ModelCard } from "../../../contract.gen";
import { number } from "../../../lib/format";
import { Markdown } from "../../../markdown";
import { Button } from "../../../ui/controls/button";
import { CopyButton } from "../../../ui/controls/copy";
import { Dialog } from "../../../ui/dialog";
import { ErrorNote } from "../../../ui/empty";
import { Skeleton } from "../../../ui/skeleton";
import { partsOf } from "./text";

interface Props {
  id: string;
  /** The checkpoint's; by default the final adapter's. */
  step: number | undefined;
  onClose: () => void;
}

export function CardDialog({ id, step, onClose }: Props) {
  const query = step === undefined ? "" : `?step=${step}`;
  const { answer, error, retry } = useAnswer(
    (signal) => api<ModelCard>(`/jobs/${encodeURIComponent(id)}/card${query}`, { signal }),
    [id, step],
  );
  const card = answer && String(answer.card);
  const title = step === undefined ? "Model card" : `Model card of step ${number(step)}`;
  return (
    <Dialog title={title} wide onClose={onClose}>
      {error ? (
        <ErrorNote title="Couldn't read the card" error={error} retry={retry} />
      ) : card === null ? (
        <Skeleton />
      ) : (
        <Text card={card} />
      )}
      <div class="ui-dialog-actions">
        {card !== null && (
          <CopyButton kind="plain" text={card} label="Copy the card as Markdown">
            Copy
          </CopyButton>
        )}
        <Button data-focus onClick={onClose}>
          Back
        </Button>
      </div>
    </Dialog>
  );
}

function Text({ card }: { card: string }) {
  const { front, text } = partsOf(card);
  return (
    <>
      <Markdown text={text} />
      {front !== "" && (
        <details style={{ marginTop: "16px" }}>
          <summary style={{ padding: "4px 0" }}>Hub metadata</summary>
          <Markdown text={`\`\`\`\`yaml\n${front.replaceAll("````", "")}\n\`\`\`\``} />
        </details>
      )}
    </>
  );
}
