/** A run's figures besides its losses: system metrics over time, and how its time was spent. */
import type { Signal } from "@preact/signals";
import type { Cursor, Scene } from "../../../../chart/scene";
import type { Settings } from "../../../../chart/settings";
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
      {run.samples.length > 0 && scene !== null && scene.lines.length > 0 && (
        <MachineCharts {...props} scene={scene} />
      )}
      {phases.length > 0 && <TimeBar title="Where the time went" parts={phases} />}
      {parts.length > 0 && <TimeBar title="Where the training's time went" parts={parts} />}
    </>
  );
}
