import { useState } from "preact/hooks";
import { api, errorText } from "../../api/client";
import { useDrop } from "../../lib/drop";
import { plural } from "../../lib/format";
import { engineAwaited } from "../../store/engine";
import { reloadManifest } from "../../store/manifest";
import { Button } from "../../ui/controls/button";
import { CopyButton } from "../../ui/controls/copy";
import { FileButton } from "../../ui/controls/file-button";
import { say } from "../../ui/controls/live";
import { ErrorNote } from "../../ui/empty";
import { DATA_FILES, uploadData } from "./upload";

const TRAINER = `import { createArkor, createTrainer } from "arkor";

const trainer = createTrainer({
  name: "support-bot",
  model: "unsloth/gemma-4-E4B-it",
  dataset: { type: "huggingface", name: "arkorlab/triage-demo" },
  maxSteps: 50,
});

export const arkor = createArkor({ trainer });
`;

/** Nothing to train yet: offers the starter, or the user's own data. */
export function First({ typescript }: { typescript: boolean }) {
  return typescript ? <NoExport /> : <Empty />;
}

function Empty() {
  const [busy, setBusy] = useState<"starter" | "data" | null>(null);
  const [over, setOver] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const attempt = async (what: "starter" | "data", action: () => Promise<string>): Promise<void> => {
    setBusy(what);
    setError(null);
    try {
      const message = await action();
      await reloadManifest();
      say(message);
    } catch (fault) {
      setError(errorText(fault));
    }
    setBusy(null);
  };
  const create = (): Promise<void> =>
    attempt("starter", async () => {
      const { files } = await api<{ files: string[] }>("/project/starter", { method: "POST" });
      return `Starter project created: ${plural(files.length, "file")}`;
    });
  const take = (file: File | undefined): Promise<void> | undefined =>
    file &&
    attempt("data", async () => {
      const { path, note } = await uploadData(file);
      return note ?? `${path} added`;
    });
  useDrop(setOver, ({ files }) => void take(files[0]));
  return (
    <div class="home-first">
      <h1 tabIndex={-1} class="home-name">
        Nothing to train yet
      </h1>
      <div class="home-ways">
        <section class="home-way">
          <h2>Start from an example</h2>
          <p class="dim">A commented arkor.toml and a small data set that trains within minutes.</p>
          <Button
            kind={engineAwaited() ? "plain" : "primary"}
            busy={busy === "starter"}
            onClick={() => void create()}
          >
            Create a starter project
          </Button>
        </section>
        <section class={over ? "home-way home-drop home-drop-over" : "home-way home-drop"}>
          <h2>Start from your data</h2>
          <p class="dim">Drop a CSV, JSON, JSONL or Parquet file here. It is copied into this project.</p>
          <FileButton
            input="Data file"
            accept={DATA_FILES}
            busy={busy === "data"}
            take={([file]) => take(file)}
          >
            Use my data
          </FileButton>
        </section>
      </div>
      {error !== null && <ErrorNote title="Nothing was created" error={error} />}
    </div>
  );
}

/** A project of the arkor package declares its trainer in code: an arkor.toml would replace it. */
function NoExport() {
  return (
    <div class="home-first">
      <h1 tabIndex={-1} class="home-name">
        No trainer is exported
      </h1>
      <p class="dim">
        <code>src/arkor/index.ts</code> builds, but exports no trainer. Export one as <code>arkor</code> or as{" "}
        <code>trainer</code>:
      </p>
      <div class="home-snippet">
        <pre tabIndex={0}>{TRAINER.trimEnd()}</pre>
        <CopyButton small text={TRAINER} label="Copy the example" />
      </div>
      <p class="hint">Reloads automatically when you save.</p>
    </div>
  );
}
