/** The message field: Enter sends, Escape stops. */
import { signal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { busy, send, stop } from "../../chat/session";
import { DRAFT, readStored, writeStored } from "../../lib/storage";
import { fitHeight, sendsOn } from "../../lib/textarea";
import { Button } from "../../ui/controls/button";
import { submits } from "../../ui/controls/switch";

/** Longer drafts are kept in memory only, and are lost on a reload. */
const MAX_KEPT = 100_000;
const DOUBLE_MS = 500;

/** The draft; it survives a reload, because a restarted daemon reloads the page. */
export const draft = signal(readStored(DRAFT));

export function setDraft(text: string): void {
  draft.value = text;
  if (text.length <= MAX_KEPT) writeStored(DRAFT, text);
}

interface Props {
  area: RefObject<HTMLTextAreaElement | null>;
  /** Why sending is not possible yet, or null. */
  blocked: string | null;
  onSent: () => void;
}

export function Composer({ area, blocked, onSent }: Props) {
  const text = draft.value;
  const ready = !blocked && !busy.value && text.trim() !== "";
  useEffect(() => fitHeight(area.current), [text]);
  const sentAt = useRef(-Infinity);
  const submit = (): void => {
    if (!ready) return;
    sentAt.current = performance.now();
    send(text);
    setDraft("");
    onSent();
    area.current?.focus();
  };
  const cancel = (): void => {
    // The second click of a double-click was not meant for the button that has just replaced the first.
    if (performance.now() - sentAt.current >= DOUBLE_MS) stop();
    area.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (!sendsOn(event)) return;
    event.preventDefault();
    submit();
  };
  return (
    <form
      class="pg-composer"
      onSubmit={submits(submit)}
      onMouseDown={(event) => {
        // A press keeps the focus in the message: the button may disappear before the press ends, and keys would go to
        // the page.
        if (!(event.target as Element).closest("p, textarea")) event.preventDefault();
      }}
    >
      <textarea
        ref={area}
        rows={1}
        dir="auto"
        aria-label="Message"
        aria-describedby="pg-composer-hint"
        placeholder="Message"
        value={text}
        onInput={(event) => setDraft(event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
      <div class="pg-composer-row">
        <p id="pg-composer-hint" class={blocked ? "hint" : "hint pg-keys"}>
          {blocked ?? (busy.value ? "Esc stops" : "Enter sends, Shift+Enter breaks the line")}
        </p>
        {busy.value ? (
          <Button key="stop" icon="stop" onClick={cancel}>
            Stop
          </Button>
        ) : (
          <Button key="send" kind="primary" type="submit" disabled={!ready}>
            Send
          </Button>
        )}
      </div>
    </form>
  );
}
