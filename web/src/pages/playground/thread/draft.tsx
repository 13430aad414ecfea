/** Edits a question in place. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { busy } from "../../../chat/session";
import { composing, fitHeight, sendsOn } from "../../../lib/textarea";
import { Button } from "../../../ui/controls/button";

interface Props {
  text: string;
  onSend: (text: string) => void;
  onCancel: () => void;
}

export function Draft({ text, onSend, onCancel }: Props) {
  const [draft, setDraft] = useState(text);
  const area = useRef<HTMLTextAreaElement>(null);
  // Not a passive effect: it would move the caret away from what is already being typed.
  useLayoutEffect(() => {
    area.current?.focus();
    area.current?.setSelectionRange(text.length, text.length);
  }, []);
  useEffect(() => fitHeight(area.current), [draft]);
  const ready = draft.trim() !== "" && !busy.value;
  const send = (): void => {
    if (ready) onSend(draft);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (composing(event)) return;
    if (event.key === "Escape") onCancel();
    else if (sendsOn(event)) send();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="chat-draft">
      <textarea
        ref={area}
        aria-label="Edit the question"
        rows={1}
        dir="auto"
        value={draft}
        onInput={(event) => setDraft(event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
      <div class="chat-draft-actions">
        <Button small onClick={onCancel}>
          Cancel
        </Button>
        <Button small kind="primary" disabled={!ready} onClick={send}>
          Send
        </Button>
      </div>
    </div>
  );
}
