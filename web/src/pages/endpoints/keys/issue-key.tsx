/** Issues a key and shows it this one time. */
import { useRef, useState } from "preact/hooks";
import { useAttempt } from "../../../api/client";
import { Button } from "../../../ui/controls/button";
import { CopyButton } from "../../../ui/controls/copy";
import { Field, submits } from "../../../ui/controls/switch";
import { confirm, Dialog } from "../../../ui/dialog";
import { labelTrouble, MAX_LABEL } from "../model";
import { createKey } from "../store";
import { useGuard } from "./guard";

export function IssueKey({ id, onIssued }: { id: string; onIssued: () => void }) {
  const [label, setLabel] = useState("");
  const { busy, error, setError, attempt } = useAttempt();
  const [plaintext, setPlaintext] = useState<string | null>(null);
  const issue = async (): Promise<void> => {
    const trouble = labelTrouble(label);
    setError(trouble);
    if (trouble || busy) return;
    await attempt(async () => {
      setPlaintext((await createKey(id, label.trim())).plaintext);
      setLabel("");
      onIssued();
    });
  };
  return (
    <>
      <form class="ep-issue" onSubmit={submits(issue)}>
        <Field label="Label of a new key" for="ep-label" error={error}>
          <input
            id="ep-label"
            class="ui-input"
            value={label}
            maxLength={MAX_LABEL}
            placeholder="Who or what will use it"
            autoComplete="off"
            onInput={(event) => setLabel(event.currentTarget.value)}
          />
        </Field>
        <Button type="submit" busy={busy}>
          Issue key
        </Button>
      </form>
      {busy && <Held />}
      {plaintext !== null && <KeyDialog plaintext={plaintext} onDone={() => setPlaintext(null)} />}
    </>
  );
}

const LEAVE = {
  title: "Leave without the key?",
  text: "It is shown only once. If you have not stored it, you have to issue another one.",
  action: "Leave",
};

/** During the request: a user who leaves now would never see the key. */
function Held() {
  useGuard(LEAVE);
  return null;
}

function KeyDialog({ plaintext, onDone }: { plaintext: string; onDone: () => void }) {
  const field = useRef<HTMLInputElement>(null);
  useGuard(LEAVE);
  const leave = async (): Promise<void> => {
    if (await confirm({ ...LEAVE, action: "Close", danger: true })) onDone();
  };
  return (
    <Dialog title="Store this key now" onClose={() => void leave()}>
      <p class="ui-dialog-text">Shown only once. Anyone with this key can call the endpoint.</p>
      <div class="ep-plaintext">
        <input
          ref={field}
          class="ui-input mono"
          readOnly
          aria-label="API key"
          value={plaintext}
          onFocus={() => field.current?.select()}
        />
        <CopyButton text={plaintext} label="Copy key" kind="plain">
          Copy
        </CopyButton>
      </div>
      <p class="ui-dialog-text">
        The examples read it from <code>ARKOR_API_KEY</code>.{" "}
        <CopyButton
          text={`export ARKOR_API_KEY=${plaintext}`}
          label="Copy as a shell command"
          kind="plain"
          small
        >
          Copy as a shell command
        </CopyButton>
      </p>
      <div class="ui-dialog-actions">
        <Button kind="primary" onClick={onDone}>
          I have stored it
        </Button>
      </div>
    </Dialog>
  );
}
