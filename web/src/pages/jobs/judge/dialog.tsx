/** Judges an adapter that another program has trained, on rows of the project that are new to it. */
import { useRef, useState } from "preact/hooks";
import { api, errorText, useAttempt } from "../../../api/client";
import type { Job } from "../../../contract.gen";
import { bytes } from "../../../lib/format";
import { clean } from "../../../lib/text";
import { go, jobHref } from "../../../router";
import { refreshJobs } from "../../../store/jobs";
import { manifest } from "../../../store/manifest";
import { Button } from "../../../ui/controls/button";
import { FileButton } from "../../../ui/controls/file-button";
import { Field, submits } from "../../../ui/controls/switch";
import { Dialog } from "../../../ui/dialog";
import { ErrorNote } from "../../../ui/empty";
import { type Adapter, adapterIn, type Chosen, CONFIG, chosenIn, WEIGHTS } from "./adapter-files";
import "./judge.css";

interface Props {
  /** The files dropped on the page, if that opened the dialog. */
  dropped: readonly Chosen[] | null;
  onClose: () => void;
}

export function JudgeDialog({ dropped, onClose }: Props) {
  const [adapter, setAdapter] = useState<Adapter | null>(null);
  const [data, setData] = useState("");
  const [model, setModel] = useState("");
  const { busy, error, setError, attempt } = useAttempt();
  const imported = useRef(false);
  const take = async (files: readonly Chosen[]): Promise<void> => {
    setError(null);
    try {
      setAdapter(await adapterIn(files));
    } catch (fault) {
      setAdapter(null);
      setError(errorText(fault));
    }
  };
  if (dropped && !imported.current) {
    imported.current = true;
    void take(dropped);
  }
  const judge = async (): Promise<void> => {
    if (!adapter || busy) return;
    await attempt(async () => {
      const form = new FormData();
      form.append(CONFIG, adapter.config);
      form.append(WEIGHTS, adapter.weights);
      const query = new URLSearchParams({ name: adapter.name, data: data.trim() });
      if (model.trim()) query.set("model", model.trim());
      const { job } = await api<{ job: Job }>(`/adapters?${query}`, { method: "POST", file: form });
      await refreshJobs();
      onClose();
      go(jobHref(job.id));
    });
  };
  return (
    <Dialog title="Judge an adapter" onClose={onClose}>
      <form class="judge" onSubmit={submits(judge)}>
        <p class="ui-dialog-text">
          An adapter that another program has trained (PEFT, safetensors) is compared with its base, and
          becomes a job that you can ask and export.
        </p>
        {error && <ErrorNote title="The adapter was not judged" error={error} />}
        <p class="judge-folder">
          <FileButton
            small
            folder
            input="Folder of the adapter"
            take={(files) => take(chosenIn(files))}
            data-focus={!adapter}
          >
            Choose a folder
          </FileButton>{" "}
          {adapter ? (
            <span>
              <bdi>{clean(adapter.name, 100)}</bdi>, {bytes(adapter.weights.size)}
            </span>
          ) : (
            <span class="hint">or drop one on the Jobs page</span>
          )}
        </p>
        <Field for="judge-data" label="Rows" hint="A file of the project, new to the adapter">
          <input
            id="judge-data"
            class="ui-input"
            list="judge-files"
            autocomplete="off"
            required
            value={data}
            onInput={(event) => setData(event.currentTarget.value)}
          />
          <datalist id="judge-files">
            {projectFiles().map((path) => (
              <option key={path} value={path} />
            ))}
          </datalist>
        </Field>
        <Field for="judge-model" label="Base model" hint="Only if it is another than the adapter names">
          <input
            id="judge-model"
            class="ui-input"
            autocomplete="off"
            placeholder={clean(adapter?.base ?? "", 200)}
            required={adapter !== null && adapter.base === null}
            value={model}
            onInput={(event) => setModel(event.currentTarget.value)}
          />
        </Field>
        <div class="ui-dialog-actions">
          <Button onClick={onClose}>Back</Button>
          <Button kind="primary" type="submit" busy={busy} disabled={!adapter || data.trim() === ""}>
            Judge
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** Files that trainers evaluate on, then those that they train on. */
function projectFiles(): string[] {
  const configs = (manifest.value?.trainers ?? []).map(({ config }) => config);
  const sources = [
    ...configs.map((config) => config?.evalDatasetSource),
    ...configs.map((config) => config?.datasetSource),
  ];
  return [...new Set(sources.map((source) => source?.path).filter((path) => path !== undefined))];
}
