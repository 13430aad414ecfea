/** The job's final adapter and checkpoints, each with its losses, or what its method is judged by, and actions. */
import { useState } from "preact/hooks";
import type { Artifact } from "../../contract.gen";
import type { Column, Rows } from "../../events/rows";
import { evalName } from "../../events/run";
import { answererOf, bestStep } from "../../lib/best-step";
import { bytes, loss, number } from "../../lib/format";
import { clean } from "../../lib/text";
import { href } from "../../router";
import { features } from "../../store/features";
import { Button } from "../../ui/controls/button";
import { copyText } from "../../ui/controls/copy";
import { say } from "../../ui/controls/live";
import { Menu, type MenuItem } from "../../ui/controls/menu";
import { openCard } from "./card/open";
import { within } from "./progress/own-figures";
import type { JobNow } from "./state";

/** Rows that are shown before all are requested. */
const AT_REST = 6;
/** How many rows before a step's last one may hold its eval loss. */
const NEAR = 4;

interface Props extends JobNow {
  /** Fills Home's form for training from a checkpoint. */
  branch: (step: number) => void;
}

/** The same question again, so that checkpoints can be compared. */
export const tryHref = (target: string): string => href("/playground", { target, again: 1 });

/** One saved checkpoint or adapter: `step` is null if unknown. */
interface Saved {
  name: string;
  step: number | null;
  bytes: number | undefined;
  path: unknown;
  /** In the form of a Playground address. */
  target: string | null;
  final: boolean;
}

export function Checkpoints({ id, job, run, branch }: Props) {
  const [all, setAll] = useState(false);
  const saved = [...run.artifacts.map((artifact) => finalOf(id, artifact)), ...checkpointsOf(id, run)];
  if (saved.length === 0) return null;
  const visible = all ? saved : saved.slice(0, AT_REST + run.artifacts.length);
  const better = bestStep(job);
  const best = better ?? run.bestEvalLoss?.step;
  const base = job?.status === "completed" && job.config?.model;
  // Its losses are not those of the last step.
  const chosen = chosenOf(job?.evaluation?.budget);
  const { judged, rows } = run;
  const heldOut = judged ? `Eval ${within(judged.label)}` : "Eval loss";
  const column = rows.column(judged?.name ?? "loss");
  const evalColumn = rows.column(judged ? evalName(judged.name) : "evalLoss");
  return (
    <section aria-label="Checkpoints" class="job-checkpoints">
      <h2>Checkpoints</h2>
      <table class="job-table num">
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col" class="job-table-number job-table-wide">
              {judged ? judged.label : "Training loss"}
            </th>
            <th scope="col" class="job-table-number">
              {heldOut}
            </th>
            <th scope="col" class="job-table-number job-table-wide">
              Size
            </th>
            <th scope="col">
              <span class="visually-hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {visible.map((one) => (
            <tr key={`${one.name} ${one.step}`}>
              <th scope="row">
                {one.name}{" "}
                {one.step !== null && one.step === best && !one.final && (
                  <span class="job-best">{better === null ? "lowest eval loss" : "best"}</span>
                )}
                {one.final && chosen !== null && <span class="job-strength">{chosen}</span>}
              </th>
              <td class="job-table-number job-table-wide">
                {one.final && chosen !== null ? "–" : loss(valueAt(rows, column, one.step))}
              </td>
              <td class="job-table-number">
                {loss(
                  one.final && chosen !== null
                    ? (job?.evaluation?.heldOut?.adapter ?? null)
                    : valueAt(rows, evalColumn, one.step),
                )}
              </td>
              <td class="job-table-number job-table-wide">{bytes(one.bytes)}</td>
              <td class="job-table-actions">
                {one.target !== null && (
                  <a
                    href={tryHref(one.target)}
                    aria-label={`Try ${one.name}`}
                    title="Open in Playground, with your last question"
                  >
                    Try
                  </a>
                )}
                <More
                  one={one}
                  items={itemsFor(id, one, {
                    branch,
                    blind:
                      one.final && base
                        ? href("/blind", { target: `base:${base}`, against: answererOf(job) })
                        : null,
                  })}
                />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {saved.length > visible.length && (
        <Button small kind="quiet" onClick={() => setAll(true)}>
          Show all {number(saved.length)}
        </Button>
      )}
    </section>
  );
}

function More({ one, items }: { one: Saved; items: readonly MenuItem[] }) {
  return items.length > 0 ? (
    <Menu small icon="more" label={`Actions for ${one.name}`} items={items} />
  ) : (
    <span class="job-table-none" />
  );
}

function itemsFor(
  id: string,
  { step, path, final }: Saved,
  { branch, blind }: { branch: (step: number) => void; blind: string | null },
): MenuItem[] {
  const items: MenuItem[] = [];
  if (!final && step !== null && features.value.has("parent"))
    items.push({ label: "Branch from here", run: () => branch(step) });
  if (blind !== null) items.push({ label: "Blind test against the base", href: blind });
  if (features.value.has("card"))
    items.push({ label: "Model card", run: () => void openCard(id, final ? undefined : step!) });
  if (typeof path === "string" && path !== "")
    items.push({
      label: "Copy folder path",
      run: () =>
        void copyText(path).then((done) => say(done ? "Path copied" : "The browser did not allow copying")),
    });
  return items;
}

/** The step and the strength of a result that a forgetting budget chose; null if it is the run's last adapter. */
export function chosenOf(budget: Partial<Record<"step" | "strength", unknown>> | undefined): string | null {
  const { step, strength } = budget ?? {};
  const parts: string[] = [];
  if (typeof step === "number") parts.push(`step ${number(step)}`);
  if (typeof strength === "number" && strength < 1) parts.push(`${number(100 * strength)} % strength`);
  return parts.length > 0 ? parts.join(", ") : null;
}

/** An artifact of the result; the local backend calls them `final` and `best`. */
export function finalOf(id: string, { kind, name, step, bytes: size, path }: Artifact): Saved {
  const trained = kind === "adapter" || kind === "model";
  const at = typeof step === "number" ? step : null;
  const suffix = at === null ? "" : ` (step ${number(at)})`;
  const called = clean(name ?? kind, 60) || "artifact";
  return {
    name:
      trained && (!name || name === kind || name === "final")
        ? `Final ${kind}`
        : `${called[0]!.toUpperCase()}${called.slice(1)}${suffix}`,
    step: at,
    bytes: size,
    path,
    target: trained ? `final:${id}` : kind === "checkpoint" && at !== null ? `checkpoint:${id}:${at}` : null,
    final: trained,
  };
}

/** Newest first. */
function checkpointsOf(id: string, run: JobNow["run"]): Saved[] {
  return run.checkpoints.toReversed().map(({ step, artifacts }) => ({
    name: `Step ${number(step)}`,
    step,
    bytes: artifacts[0]?.bytes,
    path: artifacts[0]?.path,
    target: `checkpoint:${id}:${step}`,
    final: false,
  }));
}

/** The last value that was logged at a step, or the last of all if it is null. Steps don't decrease. */
function valueAt(rows: Rows, column: Column, step: number | null): number {
  let end = rows.length;
  if (step !== null) {
    let low = 0;
    while (low < end) {
      const middle = (low + end) >> 1;
      if (rows.step.at(middle) <= step) low = middle + 1;
      else end = middle;
    }
  }
  for (let row = end - 1; row >= Math.max(0, end - NEAR); row--) {
    if (step !== null && rows.step.at(row) !== step) break;
    if (Number.isFinite(column.at(row))) return column.at(row);
  }
  return NaN;
}
