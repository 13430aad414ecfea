/** A run's figures besides its losses: system metrics over time, and how its time was spent. */
import type { Signal } from "@preact/signals";
import type { Scene } from "../../../../chart/geometry/scene";
import type { Settings } from "../../../../chart/geometry/settings";
import type { Cursor } from "../../../../chart/input/cursor";
import type { Run } from "../../../../events/run";
import { MachineCharts } from "./charts";
import { partsOf, phasesOf, TimeBar } from "./time";

interface Props {
  run: Run;
  version: number;
  origin: number;
  shift: number;
  settings: Settings;
  scene: Signal<Scene | null>;
  cursor: Signal<Cursor | null>;
}

export function Machine({ scene: drawn, ...props }: Props) {
  const { run } = props;
  const phases = phasesOf(run);
  const parts = partsOf(run.metrics.secondsIn);
  const scene = drawn.value;
  return (
    <>
      {run.samples.length > 0 && scene !== null && scene.drawn.length > 0 && (
        <MachineCharts {...props} scene={scene} />
      )}
      {phases.length > 0 && <TimeBar title="Where the time went" parts={phases} />}
      {parts.length > 0 && <TimeBar title="Where the training's time went" parts={parts} />}
    </>
  );
}
