/** Which source of a data set helped: runs that compare them, and the weights that they propose. */
import { useState } from "preact/hooks";
import { api, useAttempt } from "../../api/client";
import type { EvaluationDifference, SourceEffect, Sweep, Trainer } from "../../contract.gen";
import { plural } from "../../lib/format";
import { clean, displayName } from "../../lib/text";
import { go, href } from "../../router";
import { manifest, reloadManifest, trainerNamed, undoWrite } from "../../store/manifest";
import { Button } from "../../ui/controls/button";
import { Select, submits } from "../../ui/controls/switch";
import { WriteDialog } from "../../ui/diff";
import { ErrorNote } from "../../ui/empty";
import { styles } from "./styles";

const SUFFIX = / sources$/;
const DIGITS = 3;
const KINDS: Readonly<Record<string, string>> = { helps: "helps", harms: "harms" };

const countOf = ({ config }: Trainer): number => config?.datasetSource.sources?.length ?? 1;

/** Starts the runs; trainers with one or two data sets are not offered. */
export function SourcesForm({ trainers }: { trainers: readonly Trainer[] }) {
  const fitting = trainers.filter((trainer) => countOf(trainer) > 2);
  const [name, setName] = useState("");
  const { busy, error, attempt } = useAttempt();
  const trainer = fitting.find((candidate) => candidate.name === name) ?? fitting[0];
  const start = (): Promise<void> =>
    attempt(async () => {
      const { askAboutNotices } = await import("../home/data-question");
      await askAboutNotices();
      const body = { name: `${trainer!.name} sources`, config: trainer!.config, sources: {} };
      const { sweep } = await api<{ sweep: Sweep }>("/sweeps", { method: "POST", body });
      go(href("/sweeps", { id: sweep.id }));
    });
  return (
    <form style={styles.form} aria-label="Which source helped" onSubmit={submits(() => start())}>
      <h2>Which source helped?</h2>
      {!trainer && <p class="hint">Needs a trainer whose dataset lists three data sets or more.</p>}
      {trainer && (
        <>
          {fitting.length > 1 && (
            <label style={styles.field}>
              <span>Trainer</span>
              <Select
                value={trainer.name}
                options={fitting.map((listed) => [listed.name, displayName(listed.name)])}
                onChange={setName}
              />
            </label>
          )}
          <p class="hint">
            Short runs, each on about half of the {plural(countOf(trainer), "data set")}, estimate for each
            whether it helps or harms on the evaluation rows.
          </p>
          {error && <ErrorNote title="The runs were not started" error={error} />}
          <div style={styles.row}>
            <Button type="submit" busy={busy}>
              Compare sources
            </Button>
          </div>
        </>
      )}
    </form>
  );
}

const signed = (value: number): string => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(DIGITS)}`;

const Interval = ({ of }: { of: EvaluationDifference | undefined }) => (
  <td class="num">{of ? `${signed(of.mean)} (${signed(of.low)} to ${signed(of.high)})` : "–"}</td>
);

/** What each source does, and the button that writes the proposed weights. */
export function Effects({ sweep, effects }: { sweep: Sweep; effects: readonly SourceEffect[] }) {
  const [open, setOpen] = useState(false);
  const trainer = trainerNamed(sweep.name.replace(SUFFIX, ""));
  const revision = manifest.value?.revision;
  const weights = effects.map(({ proposed }) => proposed);
  const changes = effects.some(({ weight, proposed }) => weight !== proposed);
  // Other sources than those that were compared cannot take their weights.
  const same = trainer && countOf(trainer) === effects.length;
  return (
    <>
      <div class="chart-statistics-table" tabIndex={0} role="group" aria-label="Sources">
        <table>
          <thead>
            <tr>
              <th scope="col" style={styles.settings}>
                Source
              </th>
              <th scope="col" style={styles.settings}>
                Effect
              </th>
              <th scope="col">On the task</th>
              <th scope="col">In general</th>
              <th scope="col">Weight</th>
            </tr>
          </thead>
          <tbody>
            {effects.map(({ source, name, effect, task, general, weight, proposed }) => (
              <tr key={source}>
                <th scope="row" style={styles.settings}>
                  {clean(name, 100)}
                </th>
                <td style={styles.settings}>{KINDS[effect] ?? "no clear effect"}</td>
                <Interval of={task} />
                <Interval of={general} />
                <td class="num">{weight === proposed ? weight : `${weight} → ${proposed}`}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="hint">
        By how much the loss would be higher without the source, at the same number of steps. A source helps
        or harms by the intervals of this comparison. All of them should be right in 95 % of comparisons; in
        simulations of uneven runs up to 7.4 % had a false claim. The weights are proposals: train with them
        to see.
      </p>
      {changes && same && revision && (
        <div style={styles.row}>
          <Button kind="primary" onClick={() => void reloadManifest().then(() => setOpen(true))}>
            Write weights to arkor.toml
          </Button>
        </div>
      )}
      {changes && !same && <p class="hint">The trainer's data sets have changed since.</p>}
      {open && trainer && revision && (
        <WriteDialog
          post={(preview) =>
            api("/manifest/dataset", {
              method: "POST",
              body: { trainer: trainer.name, revision, weights, preview },
            })
          }
          written={reloadManifest}
          undo={undoWrite}
          onClose={() => setOpen(false)}
        />
      )}
    </>
  );
}
