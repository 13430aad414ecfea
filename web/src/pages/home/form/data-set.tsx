/** The data set among the settings: where its rows come from, and another file in its place. */
import { useRef, useState } from "preact/hooks";
import { api, errorText } from "../../../api/client";
import type { SettingsWritten, Trainer } from "../../../contract.gen";
import { datasetName } from "../../../lib/job-config-text";
import { clean } from "../../../lib/text";
import { forgetEdits, reloadManifest } from "../../../store/manifest";
import { Button } from "../../../ui/controls/button";
import { WriteDialog } from "../../../ui/diff";
import { DATA_FILES, uploadData } from "../upload";

export function DataSetRow({ trainer, revision }: { trainer: Trainer; revision: string }) {
  const input = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState(false);
  const [path, setPath] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const { datasetSource, evalDatasetSource } = trainer.config!;
  const take = async (file: File | undefined): Promise<void> => {
    if (!file) return;
    setBusy(true);
    setError(null);
    try {
      setPath((await uploadData(file)).path);
    } catch (fault) {
      setError(errorText(fault));
    }
    setBusy(false);
  };
  const post = (preview: boolean): Promise<SettingsWritten> =>
    api("/manifest/dataset", { method: "POST", body: { trainer: trainer.name, revision, path, preview } });
  return (
    <div class="set-row set-row-text">
      <div class="set-name">
        <span id="set-dataset">Data set</span>
      </div>
      <div class="set-data" role="group" aria-labelledby="set-dataset">
        <bdi class="set-data-name">{clean(datasetName(datasetSource), 400)}</bdi>
        <Button small busy={busy} onClick={() => input.current?.click()}>
          Use another file
        </Button>
        <input
          ref={input}
          class="visually-hidden"
          type="file"
          tabIndex={-1}
          aria-label="Data file"
          accept={DATA_FILES}
          onChange={(event) => {
            void take(event.currentTarget.files?.[0]);
            event.currentTarget.value = "";
          }}
        />
      </div>
      {(error || evalDatasetSource) && (
        <div class="set-note">
          {error && (
            <p class="set-problem" role="alert">
              {clean(error, 300)}
            </p>
          )}
          {evalDatasetSource && (
            <p class="set-was">
              Evaluated on <bdi>{clean(datasetName(evalDatasetSource), 400)}</bdi>
            </p>
          )}
        </div>
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
    </div>
  );
}
