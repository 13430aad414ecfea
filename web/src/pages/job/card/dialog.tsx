/** The model card of a job's result: shown as text, and copied as the file. */
import { useEffect, useState } from "preact/hooks";
import { api, errorText, isAbort } from "../../../api/client";
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
  const [card, setCard] = useState<string | null>(null);
  const [error, setError] = useState("");
  const [attempt, again] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    const query = step === undefined ? "" : `?step=${step}`;
    setError("");
    api<ModelCard>(`/jobs/${encodeURIComponent(id)}/card${query}`, { signal: stop.signal })
      .then((answer) => setCard(String(answer.card)))
      .catch((fault: unknown) => isAbort(fault) || setError(errorText(fault)));
    return () => stop.abort();
  }, [id, step, attempt]);
  const title = step === undefined ? "Model card" : `Model card of step ${number(step)}`;
  return (
    <Dialog title={title} wide onClose={onClose}>
      {error ? (
        <ErrorNote title="Couldn't read the card" error={error} retry={() => again(attempt + 1)} />
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
