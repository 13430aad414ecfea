/** How the file will change, before it is written. */
import { useEffect, useState } from "preact/hooks";
import { api, errorText } from "../../../api/client";
import type { SettingsWritten, Trainer } from "../../../contract.gen";
import { forgetEdits, reloadManifest } from "../../../store/manifest";
import { type Changes, dropDraft } from "../../../store/trainer-draft";
import { Button, Dialog, ErrorNote, Skeleton, say } from "../../../ui";
import { Diff } from "../../../ui/diff";

interface Props {
  trainer: Trainer;
  revision: string;
  changes: Changes;
  onClose: () => void;
}

export function WriteDialog({ trainer, revision, changes, onClose }: Props) {
  const [diff, setDiff] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  // What is written is what was shown when the dialog was opened, whatever the page reads meanwhile.
  const [asked] = useState({ trainer: trainer.name, revision, settings: changes });
  const post = (preview: boolean): Promise<SettingsWritten> =>
    api("/manifest/settings", { method: "POST", body: { ...asked, preview } });
  useEffect(() => {
    post(true).then(
      (answer) => setDiff(answer.diff),
      (fault: unknown) => setError(errorText(fault)),
    );
  }, []);
  const write = async (): Promise<void> => {
    setBusy(true);
    try {
      await post(false);
      await reloadManifest();
      dropDraft(trainer);
      forgetEdits();
      say("Written to arkor.toml");
      onClose();
    } catch (fault) {
      setError(errorText(fault));
      setBusy(false);
    }
  };
  return (
    <Dialog title="Write to arkor.toml" wide onClose={onClose}>
      {error !== null ? (
        <ErrorNote error={error} />
      ) : diff === null ? (
        <Skeleton lines={6} height={18} />
      ) : (
        <Diff text={diff} />
      )}
      <div class="ui-dialog-actions">
        <Button data-focus onClick={onClose}>
          Back
        </Button>
        {error === null && (
          <Button kind="primary" busy={busy} disabled={diff === null} onClick={() => void write()}>
            Write
          </Button>
        )}
      </div>
    </Dialog>
  );
}
