/** One turn: the question, its versions, and its answers side by side. */
import { useState } from "preact/hooks";
import { showVersion, versions } from "../../../chat/model/tree";
import type { Conversation, Turn } from "../../../chat/model/types";
import { resend } from "../../../chat/session";
import { changeCurrent, current } from "../../../chat/storage/conversations";
import { PlainText } from "../../../markdown";
import { Button } from "../../../ui/controls/button";
import { CopyButton } from "../../../ui/controls/copy";
import { AnswerView } from "./answer";
import { Draft } from "./draft";

interface Props {
  conversation: Conversation;
  turn: Turn;
  last: boolean;
  busy: boolean;
}

export function TurnView({ conversation, turn, last, busy }: Props) {
  const [editing, setEditing] = useState(false);
  const { targets, columns } = conversation;
  const answered = columns.filter((column) => turn.answers[column]);
  // A turn from before the second column was added is shown with the one answer that it has.
  const visible = !last && answered.length === 1 ? answered : columns;
  const edited = (text: string): void => {
    setEditing(false);
    resend(turn, text);
  };
  return (
    <section class="chat-turn">
      <h2 class="visually-hidden">You asked</h2>
      {editing ? (
        <Draft text={turn.user} onSend={edited} onCancel={() => setEditing(false)} />
      ) : (
        <div class="chat-question">
          <div class="chat-user">
            <PlainText text={turn.user} />
          </div>
          <div class="chat-tools chat-tools-question">
            <Versions conversation={conversation} turn={turn} />
            <CopyButton small text={turn.user} label="Copy question" />
            <Button
              kind="quiet"
              small
              icon="edit"
              aria-label="Edit and ask again"
              title="Edit and ask again"
              disabled={busy}
              onClick={() => setEditing(true)}
            />
          </div>
        </div>
      )}
      <div class={visible.length > 1 ? "chat-answers chat-answers-two" : "chat-answers"}>
        {visible.map((column) => {
          const target = targets[column];
          return (
            target && (
              <AnswerView
                key={column}
                turn={turn}
                column={column}
                target={target}
                compared={columns.length > 1}
                last={last}
                edit={() => setEditing(true)}
              />
            )
          );
        })}
      </div>
    </section>
  );
}

/** `‹ 2/3 ›`: switches between the versions of a question at this point of the conversation. */
function Versions({ conversation, turn }: { conversation: Conversation; turn: Turn }) {
  const all = versions(conversation, turn);
  if (all.length < 2) return null;
  const at = all.findIndex((child) => child.id === turn.id) + 1;
  const by = (step: number) => () => changeCurrent(showVersion(current.peek(), turn, step));
  return (
    <span class="chat-versions num" role="group" aria-label={`Version ${at} of ${all.length}`}>
      <Button kind="quiet" small aria-label="Previous version" disabled={at === 1} onClick={by(-1)}>
        ‹
      </Button>
      {at}/{all.length}
      <Button kind="quiet" small aria-label="Next version" disabled={at === all.length} onClick={by(1)}>
        ›
      </Button>
    </span>
  );
}
