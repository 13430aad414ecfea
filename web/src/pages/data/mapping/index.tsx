/** Maps a data file's columns to prompt and answer: two selects, a preview, and a button that writes the mapping. */
import { useState } from "preact/hooks";
import { api, useAttempt } from "../../../api/client";
import type { SettingsWritten, Trainer, UnmappedColumns } from "../../../contract.gen";
import { clean } from "../../../lib/text";
import { forgetEdits, reloadManifest } from "../../../store/manifest";
import { Button } from "../../../ui/controls/button";
import { say } from "../../../ui/controls/live";
import { Field, Select } from "../../../ui/controls/switch";
import { ErrorNote } from "../../../ui/empty";
import "./mapping.css";

interface Props {
  trainer: Trainer;
  unmapped: UnmappedColumns;
  /** The revision of arkor.toml that was read. */
  revision: string;
}

export function MapColumns({ trainer, unmapped, revision }: Props) {
  const { file, columns, rows, suggested, part } = unmapped;
  const [prompt, setPrompt] = useState(suggested?.prompt ?? (columns.length > 1 ? columns[0]! : ""));
  const [answer, setAnswer] = useState(suggested?.completion ?? columns.at(-1)!);
  const { busy, error, attempt } = useAttempt();
  const same = prompt === answer;
  const write = (): Promise<void> =>
    attempt(async () => {
      const mapped = prompt === "" ? { text: answer } : { prompt, completion: answer };
      await api<SettingsWritten>("/manifest/dataset", {
        method: "POST",
        body: { trainer: trainer.name, revision, part, columns: mapped },
      });
      await reloadManifest();
      forgetEdits();
      say("Columns written to arkor.toml");
    });
  return (
    <section class="map" aria-labelledby="map-title">
      <h2 id="map-title">Choose the columns to train on</h2>
      <p class="dim">
        <bdi>{clean(file, 200)}</bdi> has{" "}
        {numbered(columns)
          ? "no column names"
          : columns.length === 1
            ? "a column of its own"
            : "columns of its own"}
        . Which one is the prompt, and which is the answer to learn?
      </p>
      <div class="map-selects">
        <Field label="Prompt" for="map-prompt">
          <Columns
            id="map-prompt"
            {...{ columns, rows }}
            value={prompt}
            none="None: learn plain text"
            onChange={setPrompt}
          />
        </Field>
        <Field
          label={prompt === "" ? "Text" : "Answer"}
          for="map-answer"
          error={same ? "Choose two different columns." : null}
        >
          <Columns id="map-answer" {...{ columns, rows }} value={answer} onChange={setAnswer} />
        </Field>
      </div>
      <dl class="map-preview" aria-label="Preview">
        {rows.map((row, index) => (
          <div key={index}>
            {prompt !== "" && <dt>{clean(row[prompt], 200) || "(empty)"}</dt>}
            <dd>{clean(row[answer], 200) || "(empty)"}</dd>
          </div>
        ))}
      </dl>
      {error !== null && <ErrorNote title="Nothing was written" error={error} />}
      <Button kind="primary" busy={busy} disabled={same} onClick={() => void write()}>
        Write to arkor.toml
      </Button>
    </section>
  );
}

const numbered = (columns: readonly string[]): boolean =>
  columns.every((name, at) => name === String(at + 1));

function Columns({
  id,
  columns,
  rows,
  value,
  none,
  onChange,
}: Pick<UnmappedColumns, "columns" | "rows"> & {
  id: string;
  value: string;
  none?: string;
  onChange: (column: string) => void;
}) {
  return (
    <Select
      {...{ id, value, onChange }}
      options={[
        none !== undefined && ["", none],
        ...columns.map((name): [string, string] => [
          name,
          numbered(columns) ? `Column ${name}: ${clean(rows[0]?.[name], 40)}` : clean(name, 80),
        ]),
      ]}
    />
  );
}
