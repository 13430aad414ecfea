/** "Why?" beside an answer, and what it opens; the code of that is loaded at the first press. */
import { useState } from "preact/hooks";
import type { ChatMessage } from "../../contract.gen";
import { late } from "../../lib/late";
import { cleanBlock } from "../../lib/text";
import { features } from "../../store/features";
import { Button } from "../../ui/controls/button";

const useWhy = late(() => import("."));

interface Props {
  /** The job whose final adapter has answered. */
  jobId: string;
  /** The conversation up to the question. */
  messages: readonly ChatMessage[];
  answer: string;
}

export function WhyLink({ jobId, messages, answer }: Props) {
  const [open, setOpen] = useState(false);
  const code = useWhy(open);
  const question = messages.at(-1)?.content ?? "";
  if (!features.value.has("attribution") || question === "" || answer.trim() === "") return null;
  return (
    <>
      <Button
        kind="quiet"
        small
        aria-expanded={open}
        aria-label={`Why this answer to: ${cleanBlock(question, 80)}`}
        onClick={() => setOpen(!open)}
      >
        Why?
      </Button>
      {open && code && (
        <code.Why jobId={jobId} messages={messages} answer={answer} onClose={() => setOpen(false)} />
      )}
    </>
  );
}
