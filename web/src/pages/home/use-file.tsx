/** A new data file for a trainer: copied into the project, and written to arkor.toml after a preview. */
import { useState } from "preact/hooks";
import { api, useAttempt } from "../../api/client";
import type { SettingsWritten, Trainer } from "../../contract.gen";
import { clean } from "../../lib/text";
import { forgetEdits, reloadManifest } from "../../store/manifest";
import { FileButton } from "../../ui/controls/file-button";
import { WriteDialog } from "../../ui/diff";
import { DATA_FILES, uploadData } from "./upload";

export function UseFile({ trainer, revision }: { trainer: Trainer; revision: string }) {
  const [path, setPath] = useState<string | null>(null);
  const { busy, error, attempt } = useAttempt();
  const take = async (file: File | undefined): Promise<void> => {
    if (file) await attempt(async () => setPath((await uploadData(file)).path));
  };
  const post = (preview: boolean): Promise<SettingsWritten> =>
    api("/manifest/dataset", { method: "POST", body: { trainer: trainer.name, revision, path, preview } });
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
      {path !== null && (
        <WriteDialog
          post={post}
          written={async () => {
            await reloadManifest();
            forgetEdits();
          }}
          onClose={() => setPath(null)}
        />
      )}
    </>
  );
}
