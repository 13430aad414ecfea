/** A new data file for a trainer: copied into the project, and written to arkor.toml after a preview. */
import { useState } from "preact/hooks";
import { api, useAttempt } from "../../api/client";
import type { SettingsWritten, Trainer } from "../../contract.gen";
import { useDrop } from "../../lib/drop";
import { clean, displayName } from "../../lib/text";
import { forgetEdits, reloadManifest, undoWrite } from "../../store/manifest";
import { FileButton } from "../../ui/controls/file-button";
import { WriteDialog } from "../../ui/diff";
import { ErrorNote } from "../../ui/empty";
import { DATA_FILES, type Uploaded, uploadData } from "./upload";

interface Props {
  trainer: Trainer;
  /** The revision of the file that was read. */
  revision: string;
}

function useUpload() {
  const [uploaded, setUploaded] = useState<Uploaded | null>(null);
  const { busy, error, attempt } = useAttempt();
  const take = async (file: File | undefined): Promise<void> => {
    if (file) await attempt(async () => setUploaded(await uploadData(file)));
  };
  return { uploaded, setUploaded, busy, error, take };
}

export function UseFile(props: Props) {
  const { uploaded, setUploaded, busy, error, take } = useUpload();
  return (
    <>
      <FileButton small input="Data file" accept={DATA_FILES} busy={busy} take={([file]) => take(file)}>
        Use another file
      </FileButton>
      {error && (
        <span class="ui-field-error" role="alert">
          {clean(error, 300)}
        </span>
      )}
      {uploaded && <Write {...props} {...uploaded} onClose={() => setUploaded(null)} />}
    </>
  );
}

/** The same for a file that is dropped anywhere on the page. */
export function DropFile(props: Props) {
  const { uploaded, setUploaded, busy, error, take } = useUpload();
  const [over, setOver] = useState(false);
  useDrop(setOver, ({ files }) => void take(files[0]));
  return (
    <>
      {(over || busy) && (
        <p class="home-dropping" role="status">
          {busy
            ? "Copying the file into the project …"
            : `Drop to train ${displayName(props.trainer.name)} on it`}
        </p>
      )}
      {error && <ErrorNote title="The dropped file was not taken" error={error} />}
      {uploaded && <Write {...props} {...uploaded} onClose={() => setUploaded(null)} />}
    </>
  );
}

function Write({ trainer, revision, path, note, onClose }: Props & Uploaded & { onClose: () => void }) {
  const post = (preview: boolean): Promise<SettingsWritten> =>
    api("/manifest/dataset", { method: "POST", body: { trainer: trainer.name, revision, path, preview } });
  return (
    <WriteDialog
      note={note}
      post={post}
      written={async () => {
        await reloadManifest();
        forgetEdits();
      }}
      undo={undoWrite}
      onClose={onClose}
    />
  );
}
