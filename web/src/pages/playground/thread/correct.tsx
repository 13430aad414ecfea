/** Teaching by correcting: an answer is edited into the wanted one, which becomes a row of the project's data. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { errorText, useAttempt } from "../../../api/client";
import {
  addCorrection,
  corrections,
  listInDataset,
  loadCorrections,
  rowWith,
  undoCorrection,
} from "../../../chat/corrections";
import { setAnswer } from "../../../chat/model/tree";
import type { Answer, KeptCorrection, Turn } from "../../../chat/model/types";
import { messagesFor } from "../../../chat/request";
import { changeById, current } from "../../../chat/storage/conversations";
import { plural } from "../../../lib/format";
import { clean, displayName } from "../../../lib/text";
import { composing, fitHeight } from "../../../lib/textarea";
import { PlainText } from "../../../markdown";
import { reloadManifest, undoWrite } from "../../../store/manifest";
import { Button } from "../../../ui/controls/button";
import { announce, say } from "../../../ui/controls/live";
import { WriteDialog } from "../../../ui/diff";
import { ErrorNote } from "../../../ui/empty";

const STACK = { display: "grid", gridTemplateColumns: "minmax(0, 1fr)", gap: "4px", marginTop: "12px" };
const HEAD = { color: "var(--ink-2)", fontSize: "var(--size-1)", fontWeight: "var(--medium)" };

interface Props {
  turn: Turn;
  column: number;
  answer: Answer;
}

/** Keeps a correction with its answer, in the conversation; null removes it. */
function keep({ turn, column, answer }: Props, id: string, corrected: KeptCorrection | null): void {
  const { corrected: _, ...plain } = answer;
  changeById(id, (conversation) =>
    setAnswer(conversation, turn.id, column, corrected ? { ...plain, corrected } : plain),
  );
}

export function CorrectDraft({ onClose, ...props }: Props & { onClose: () => void }) {
  const { turn, column, answer } = props;
  const [text, setText] = useState(answer.corrected?.text ?? answer.text);
  const { busy, error, attempt } = useAttempt();
  const area = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => area.current?.focus(), []);
  useEffect(() => fitHeight(area.current), [text]);
  const same = text.trim() === answer.text.trim();
  const ready = text.trim() !== "" && !same;
  const add = async (): Promise<void> => {
    if (!ready || busy) return;
    const conversation = current.peek();
    const request = { ...conversation, ...(answer.asked ? { system: answer.asked.system } : {}) };
    const messages = messagesFor(request, turn.id, column);
    await attempt(async () => {
      const added = await addCorrection(
        [...messages, { role: "assistant", content: text }],
        answer.text,
        answer.name,
      );
      const { line, undo, sameQuestion } = added;
      keep(props, conversation.id, { text, line, undo, sameQuestion });
      announce(`Added to ${added.file}`);
      void loadCorrections().catch(() => undefined);
      onClose();
    });
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (composing(event)) return;
    if (event.key === "Escape") onClose();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void add();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div style={STACK}>
      <div class="chat-draft" style={{ width: "100%" }}>
        <textarea
          ref={area}
          aria-label="The corrected answer"
          rows={2}
          dir="auto"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={onKeyDown}
        />
        <div class="chat-draft-actions">
          <Button small onClick={onClose}>
            Cancel
          </Button>
          <Button small kind="primary" busy={busy} disabled={!ready} onClick={() => void add()}>
            Add to the data
          </Button>
        </div>
      </div>
      <p class="hint">
        {same
          ? "Edit to the ideal answer; saved to data/corrections.jsonl."
          : "Ctrl Enter adds it to data/corrections.jsonl, with what was said before."}
      </p>
      {error !== null && <ErrorNote title="It was not added" error={error} />}
    </div>
  );
}

export function Corrected(props: Props & { corrected: KeptCorrection }) {
  const { corrected } = props;
  const [error, setError] = useState("");
  const [listing, setListing] = useState<string | null>(null);
  useEffect(() => {
    if (corrections.peek() === null) void loadCorrections().catch(() => undefined);
  }, []);
  const known = corrections.value;
  const row = known ? rowWith(known.rows, corrected.text) : undefined;
  const gone = known !== null && row === undefined && known.older === 0;
  const undo = async (): Promise<void> => {
    try {
      await undoCorrection(corrected.undo);
      keep(props, current.peek().id, null);
      say("Removed from data/corrections.jsonl");
      void loadCorrections().catch(() => undefined);
    } catch (fault) {
      setError(errorText(fault));
    }
  };
  return (
    <section style={STACK} aria-label="Correction">
      <h3 style={HEAD}>Should have been</h3>
      <div class="chat-user" style={{ maxHeight: "none" }}>
        <PlainText text={corrected.text} />
      </div>
      {gone ? (
        <p class="hint">
          It is no longer in data/corrections.jsonl.{" "}
          <Button small kind="quiet" onClick={() => keep(props, current.peek().id, null)}>
            Forget it
          </Button>
        </p>
      ) : (
        <p class="hint">
          Line {row?.line ?? corrected.line} of data/corrections.jsonl.{" "}
          <Button small kind="quiet" aria-label="Undo the correction" onClick={() => void undo()}>
            Undo
          </Button>
        </p>
      )}
      {!gone && corrected.sameQuestion && corrected.sameQuestion.length > 0 && (
        <p class="hint">
          {corrected.sameQuestion.length === 1 ? "Line" : "Lines"} {corrected.sameQuestion.join(", ")}{" "}
          {corrected.sameQuestion.length === 1 ? "answers" : "answer"} the same question in another way: keep
          the one that you want.
        </p>
      )}
      {!gone && known && <Users onList={setListing} />}
      {error !== "" && <ErrorNote title="It was not undone" error={error} />}
      {listing !== null && known?.revision !== undefined && (
        <ListDialog trainer={listing} revision={known.revision} onClose={() => setListing(null)} />
      )}
    </section>
  );
}

const MAX_TRAINERS = 4;

/** The trainers whose data set includes the file; it can be added to the others. */
function Users({ onList }: { onList: (trainer: string) => void }) {
  const trainers = corrections.value?.trainers ?? [];
  if (trainers.length === 0)
    return <p class="hint">A trainer uses it if its dataset in arkor.toml lists this file.</p>;
  const using = trainers.filter(({ listed }) => listed);
  const unlisted = trainers.filter(({ listed }) => !listed);
  return (
    <>
      {using.length > 0 && (
        <p class="hint">
          {using
            .slice(0, MAX_TRAINERS)
            .map(({ name }) => displayName(name))
            .join(", ")}{" "}
          {using.length === 1 ? "learns" : "learn"} from it in the next run.
        </p>
      )}
      {using.length === 0 && unlisted.length > 0 && (
        <p class="hint">No trainer uses it yet: a trainer's dataset in arkor.toml must list the file.</p>
      )}
      {unlisted.slice(0, MAX_TRAINERS).map(({ name }) => (
        <p key={name}>
          <Button small onClick={() => onList(name)}>
            Add the file to the data of {clean(name, 60)}
          </Button>
        </p>
      ))}
      {unlisted.length > MAX_TRAINERS && (
        <p class="hint">And {plural(unlisted.length - MAX_TRAINERS, "more trainer")}.</p>
      )}
    </>
  );
}

interface ListProps {
  trainer: string;
  revision: string;
  onClose: () => void;
}

function ListDialog({ trainer, revision, onClose }: ListProps) {
  const post = (preview: boolean) => listInDataset(trainer, revision, preview);
  const written = (): Promise<unknown> => Promise.all([loadCorrections(), reloadManifest()]);
  return (
    <WriteDialog
      post={post}
      written={written}
      undo={(written) => undoWrite(written).then(loadCorrections)}
      onClose={onClose}
    />
  );
}
