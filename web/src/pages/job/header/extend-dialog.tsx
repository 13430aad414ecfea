/** Extends a finished job: to which step or for how many epochs, and at which learning rate. */
import { useState } from "preact/hooks";
import { useAttempt } from "../../../api/client";
import type { Job } from "../../../contract.gen";
import { number } from "../../../lib/format";
import { displayName } from "../../../lib/text";
import { actOnJob } from "../../../store/jobs";
import { Button } from "../../../ui/controls/button";
import { say } from "../../../ui/controls/live";
import { Chips, Field, submits } from "../../../ui/controls/switch";
import { Dialog } from "../../../ui/dialog";
import { ErrorNote } from "../../../ui/empty";
import { unlessChanged } from "./unless-changed";
import "./extend-dialog.css";

const UNITS = [
  { value: "maxSteps", label: "Steps" },
  { value: "numTrainEpochs", label: "Epochs" },
] as const;
const SCHEDULES = [
  { value: "continue", label: "Continue" },
  { value: "restart", label: "Start again" },
] as const;
const WHAT = {
  continue: "Continues the schedule as if the job had been this long from the start.",
  restart: "Warms the learning rate up again, then decays it to the new end.",
};
const MOST_EPOCHS = 10_000;

type Unit = (typeof UNITS)[number]["value"];

export function ExtendDialog({ job, onClose }: { job: Job; onClose: () => void }) {
  const done = job.resumable ?? 0;
  const epochs = epochsOf(job);
  const [unit, setUnit] = useState<Unit>("maxSteps");
  const [text, setText] = useState(String(done + Math.max(1, Math.round(done / 2))));
  const [schedule, setSchedule] = useState<"continue" | "restart">("continue");
  const { busy, error, attempt } = useAttempt();
  const value = Number(text.trim().replaceAll(",", ""));
  const wrong = problemOf(unit, text.trim() === "" ? NaN : value, unit === "maxSteps" ? done : epochs);
  const choose = (next: Unit): void => {
    setUnit(next);
    setText(
      next === "maxSteps" ? String(done + Math.max(1, Math.round(done / 2))) : String((epochs ?? 1) + 1),
    );
  };
  const extend = async (): Promise<void> => {
    if (wrong !== null || busy) return;
    await attempt(async () => {
      const body = { [unit]: value, schedule };
      const did = await unlessChanged("Extend", (force) => actOnJob(job.id, "extend", { ...body, ...force }));
      if (!did) return;
      say(`${displayName(job.name)} resumes at step ${number(done)}`);
      onClose();
    });
  };
  return (
    <Dialog title="Extend this job" onClose={onClose}>
      <form class="extend" onSubmit={submits(extend)}>
        <p class="ui-dialog-text">
          <bdi>{displayName(job.name)}</bdi> has made {number(done)} steps. Training continues from there,
          with the same settings and rows.
        </p>
        {error && <ErrorNote title="The job was not extended" error={error} />}
        <Chips label="Count in" items={UNITS} value={unit} onChange={choose} />
        <Field
          for="extend-end"
          label={unit === "maxSteps" ? "Train to step" : "Total epochs"}
          hint={
            unit === "maxSteps"
              ? wrong === null
                ? `${number(value - done)} more`
                : ""
              : epochs === null
                ? ""
                : `Trained for ${number(epochs)} so far`
          }
          error={wrong}
        >
          <input
            id="extend-end"
            class="ui-input num"
            inputMode="decimal"
            autocomplete="off"
            data-focus
            aria-invalid={wrong !== null}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </Field>
        <div>
          <p class="ui-field-label">Schedule</p>
          <Chips label="Schedule" items={SCHEDULES} value={schedule} onChange={setSchedule} />
          <p class="ui-field-hint">{WHAT[schedule]}</p>
        </div>
        <div class="ui-dialog-actions">
          <Button onClick={onClose}>Back</Button>
          <Button kind="primary" type="submit" busy={busy} disabled={wrong !== null}>
            Extend
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** The job's epochs; null if steps were set. */
function epochsOf({ config, settings }: Job): number | null {
  const requested = config as unknown as Readonly<Record<string, unknown>>;
  if (typeof requested.maxSteps === "number" && requested.maxSteps > 0) return null;
  const epochs = requested.numTrainEpochs ?? settings?.numTrainEpochs;
  return typeof epochs === "number" && Number.isFinite(epochs) ? epochs : null;
}

function problemOf(unit: Unit, value: number, before: number | null): string | null {
  if (!Number.isFinite(value)) return "A number";
  if (unit === "maxSteps") {
    if (!Number.isInteger(value)) return "A whole number of steps";
    return value > before! ? null : `More than the ${number(before)} that it has`;
  }
  if (value <= 0 || value > MOST_EPOCHS) return `More than 0, ${number(MOST_EPOCHS)} at most`;
  return before !== null && value <= before ? `More than the ${number(before)} that it has` : null;
}
