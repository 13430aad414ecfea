/** The text of one request, and its uses: a conversation, a row of the data, a rating, the rows behind it. */
import { useEffect, useState } from "preact/hooks";
import { api, errorText, useAttempt } from "../../../api/client";
import { addCorrection, undoCorrection } from "../../../chat/corrections";
import { addPreference, removePreference } from "../../../chat/preferences";
import { fullName, handOver, targetKey } from "../../../chat/targets";
import { WhyLink } from "../../../chat/why/link";
import type { ChatMessage, CorrectionAdded, Deployment, EndpointRequest } from "../../../contract.gen";
import { clean } from "../../../lib/text";
import { PlainText } from "../../../markdown";
import { go, href } from "../../../router";
import { jobs } from "../../../store/jobs";
import { Button } from "../../../ui/controls/button";
import { announce, say } from "../../../ui/controls/live";
import { ErrorNote } from "../../../ui/empty";
import { Skeleton } from "../../../ui/skeleton";
import { fromWire } from "../model";
import { conversationOf, conversationTrouble } from "./conversation";

const ROLES: Readonly<Record<string, string>> = {
  system: "System",
  user: "Caller",
  assistant: "Model",
  tool: "Tool",
};

export function KeptText({ path, deployment }: { path: string; deployment: Deployment }) {
  const [request, setRequest] = useState<EndpointRequest | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [editing, setEditing] = useState<number | null>(null);
  const read = async (): Promise<void> => {
    try {
      setRequest((await api<{ request: EndpointRequest }>(path)).request);
      setError(null);
    } catch (fault) {
      setError(errorText(fault));
    }
  };
  useEffect(() => void read(), [path]);
  if (error !== null)
    return <ErrorNote title="The text could not be read" error={error} retry={() => void read()} />;
  if (request === null) return <Skeleton lines={3} />;
  const { messages, answers = [] } = request;
  if (messages === undefined) return <p class="dim">The text is no longer kept.</p>;
  const target = fromWire(deployment.target);
  const trouble = conversationTrouble(request) ?? (target ? null : "Its target is unknown here.");
  const open = (): void => {
    if (!target) return;
    const name = fullName(target, jobs.peek());
    handOver({ conversation: conversationOf(request, target, name, () => crypto.randomUUID()) });
    go(href("/playground"));
  };
  return (
    <div class="ep-text">
      {messages.map(({ role, content }, index) => (
        <Message key={index} by={ROLES[role] ?? clean(role, 20)} text={content} />
      ))}
      {answers.map((answer, index) => (
        <div key={index}>
          <Message by={answers.length > 1 ? `Answer ${index + 1}` : "Answer"} text={answer} />
          {editing === index ? (
            <Correct
              request={request}
              answer={answer}
              by={deployment.slug}
              onClose={() => setEditing(null)}
            />
          ) : (
            trouble === null &&
            target && (
              <div class="ep-do">
                <Button small kind="quiet" onClick={() => setEditing(index)}>
                  Correct and add to the data
                </Button>
                <Rate
                  prompt={messages}
                  answer={answer}
                  model={targetKey(target)}
                  by={`endpoint ${deployment.slug}`}
                />
                {target.kind === "final" && (
                  <WhyLink
                    jobId={target.jobId}
                    messages={messages.map(({ role, content }) => ({ role, content }))}
                    answer={answer}
                  />
                )}
              </div>
            )
          )}
        </div>
      ))}
      <p class="ep-text-end">
        {trouble === null ? (
          <Button small onClick={open}>
            Open in the playground
          </Button>
        ) : (
          <span class="hint">{trouble}</span>
        )}
      </p>
    </div>
  );
}

function Message({ by, text }: { by: string; text: string }) {
  return (
    <section class="ep-said" aria-label={by}>
      <h3>{by}</h3>
      <PlainText text={text} />
    </section>
  );
}

interface RateProps {
  prompt: readonly ChatMessage[];
  answer: string;
  model: string;
  by: string;
}

/** Thumbs: a rated answer becomes a row of data/ratings.jsonl; the same thumb again removes it. */
function Rate({ prompt, answer, model, by }: RateProps) {
  const [rated, setRated] = useState<{ good: boolean; id: string } | null>(null);
  const [busy, setBusy] = useState(false);
  const rate = async (good: boolean): Promise<void> => {
    setBusy(true);
    try {
      if (rated) await removePreference(rated.id);
      setRated(null);
      if (rated?.good === good) announce("Rating removed");
      else {
        const id = await addPreference({ prompt, completion: answer, label: good, models: [model], by });
        setRated({ good, id });
        say(`Rated as a ${good ? "good" : "bad"} answer, in data/ratings.jsonl`);
      }
    } catch (fault) {
      say(errorText(fault));
    }
    setBusy(false);
  };
  return (
    <>
      {([true, false] as const).map((good) => (
        <Button
          key={String(good)}
          small
          kind="quiet"
          icon={good ? "good" : "bad"}
          aria-label={good ? "Good answer" : "Bad answer"}
          title={good ? "Good answer" : "Bad answer"}
          aria-pressed={rated?.good === good}
          busy={busy}
          onClick={() => void rate(good)}
        />
      ))}
    </>
  );
}

interface CorrectProps {
  request: EndpointRequest;
  answer: string;
  by: string;
  onClose: () => void;
}

/** The corrected answer, which becomes a row of data/corrections.jsonl. */
function Correct({ request, answer, by, onClose }: CorrectProps) {
  const [text, setText] = useState(answer);
  const { busy, error, attempt } = useAttempt();
  const [added, setAdded] = useState<CorrectionAdded | null>(null);
  const ready = text.trim() !== "" && text.trim() !== answer.trim();
  const add = (): Promise<void> =>
    attempt(async () => {
      const messages = [...(request.messages ?? []), { role: "assistant" as const, content: text }];
      const correction = await addCorrection(messages, answer, `endpoint ${by}`);
      setAdded(correction);
      announce(`Added to ${correction.file}`);
    });
  const undo = (undo: string): Promise<void> =>
    attempt(async () => {
      await undoCorrection(undo);
      announce("Taken out again");
      onClose();
    });
  const fault = error !== null && <ErrorNote title="It was not done" error={error} />;
  if (added)
    return (
      <>
        <p class="hint">
          Line {added.line} of {added.file}.{" "}
          <Button small kind="quiet" busy={busy} onClick={() => void undo(added.undo)}>
            Undo
          </Button>
        </p>
        {fault}
      </>
    );
  return (
    <div class="ep-correct">
      <textarea
        class="ui-input"
        aria-label="The corrected answer"
        rows={4}
        dir="auto"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <div class="ep-buttons">
        <Button small kind="primary" busy={busy} disabled={!ready} onClick={() => void add()}>
          Add to the data
        </Button>
        <Button small kind="quiet" onClick={onClose}>
          Cancel
        </Button>
      </div>
      {fault}
    </div>
  );
}
