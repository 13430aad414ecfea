/** The strength of each displayed adapter: two columns can compare the same adapter at two strengths. */
import { setTarget } from "../../../chat/model/tree";
import type { AdapterTarget } from "../../../chat/model/types";
import { changeCurrent, current } from "../../../chat/storage/conversations";
import { FEATURE, MOST_STRENGTH, noStrength, strengthOf, withStrength } from "../../../chat/strength";
import { features } from "../../../store/features";
import { jobs } from "../../../store/jobs";
import { Button } from "../../../ui/controls/button";
import { NumberField } from "./number-field";

const MOST = 100 * MOST_STRENGTH;
const STEP = 5;

export function StrengthFields() {
  const { targets, columns } = current.value;
  const two = columns.length > 1;
  const dials = columns.flatMap((column, labelId) => {
    const target = targets[column];
    return target && target.kind !== "base" ? [{ column, place: labelId, target }] : [];
  });
  if (!features.value.has(FEATURE) || dials.length === 0) return null;
  return (
    <section class="pg-section" aria-labelledby="pg-strength">
      <h2 class="pg-section-title" id="pg-strength">
        Adapter strength
      </h2>
      {dials.map(({ column, place: labelId, target }) => (
        <Dial
          key={column}
          column={column}
          labelId={two ? (labelId === 0 ? "Left" : "Right") : ""}
          target={target}
        />
      ))}
    </section>
  );
}

interface DialProps {
  column: number;
  /** `Left` or `Right` if two are compared, else empty. */
  labelId: string;
  target: AdapterTarget;
}

function Dial({ column, labelId, target }: DialProps) {
  const none = noStrength(target, jobs.value);
  const label = labelId === "" ? "Strength" : `${labelId} strength`;
  const set = (value: number): void =>
    changeCurrent(setTarget(current.peek(), column, withStrength(target, value / 100)));
  if (none !== null) return <p class="hint">{labelId === "" ? none : `${labelId}: ${none}`}</p>;
  const value = Math.round(100 * strengthOf(target));
  return (
    <div class="pg-dial">
      <NumberField
        id={`pg-strength-${column}`}
        label={label}
        unit="%"
        value={value}
        min={0}
        max={MOST}
        step={STEP}
        slider
        bounded={(percent) => Math.round(Math.min(MOST, Math.max(0, percent)))}
        onChange={set}
        onReset={() => set(100)}
      />
      <div class="pg-preset-line">
        <p class="hint">{meaning(value)}</p>
        {value !== 100 && (
          <Button
            kind="quiet"
            small
            aria-label={`Reset ${label.toLowerCase()} to 100 %`}
            onClick={() => set(100)}
          >
            Reset
          </Button>
        )}
      </div>
    </div>
  );
}

function meaning(value: number): string {
  if (value === 0) return "The base model itself";
  if (value === 100) return "As it was trained";
  return value < 100 ? "Between base and adapter" : "More than it was trained for";
}
