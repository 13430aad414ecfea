/** The figures of a sweep: the best loss over time, parallel coordinates, and what mattered. */
import type { ComponentChildren, RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Sweep } from "../../contract.gen";
import { clock, loss, number } from "../../lib/format";
import {
  type Axis,
  axesOf,
  bestSoFar,
  figure,
  labelOf,
  lossOf,
  measureOf,
  ranked,
  searched,
  settingsWords,
  trialValue,
} from "./model";
import { styles } from "./styles";

const NARROWEST = 280;
const WIDEST = 720;
const HEIGHT = 220;
const TOP = 16;
const BOTTOM = 28;
const LEFT = 52;
const RIGHT = 16;
const DIGITS = 3;
const MOST_SERIES = 7;

const y = (part: number): number => TOP + (1 - part) * (HEIGHT - TOP - BOTTOM);

function scaleOf(values: readonly number[]): (value: number) => number {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return (value) => (high > low ? (value - low) / (high - low) : 0.5);
}

/** The width of an element in pixels, so that a figure's letters keep their size. */
function useWidth(drawn: boolean): [RefObject<HTMLDivElement | null>, number] {
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(WIDEST);
  useLayoutEffect(() => {
    const node = box.current;
    if (!node) return;
    const measure = (): void => setWidth(Math.max(NARROWEST, Math.min(WIDEST, node.clientWidth)));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(node);
    return () => observer.disconnect();
  }, [drawn]);
  return [box, width];
}

function Figure({ title, hint, children }: { title: string; hint: string; children: ComponentChildren }) {
  return (
    <figure style={styles.figure}>
      <figcaption>
        <h2>{title}</h2>
        <p class="hint">{hint}</p>
      </figcaption>
      {children}
    </figure>
  );
}

const Text = ({
  x,
  at,
  anchor,
  children,
}: {
  x: number;
  at: number;
  anchor?: string;
  children: ComponentChildren;
}) => (
  <text x={x} y={at} text-anchor={anchor} fill="var(--ink-2)" style={styles.text}>
    {children}
  </text>
);

const Swatch = ({ colour, dashed }: { colour: string; dashed?: boolean }) => (
  <svg width="16" height="8" aria-hidden="true">
    <line
      x1="0"
      x2="16"
      y1="4"
      y2="4"
      stroke={colour}
      stroke-width="3"
      stroke-dasharray={dashed ? "5 3" : undefined}
    />
  </svg>
);

export function BestOverTime({ sweep }: { sweep: Sweep }) {
  const lines = bestSoFar(sweep);
  const points = lines.flatMap((line) => line.points);
  const [box, width] = useWidth(points.length > 1);
  if (points.length < 2) return null;
  const [across, up] = [scaleOf(points.map(({ x }) => x)), scaleOf(points.map((point) => point.y))];
  const x = (at: number): number => LEFT + across(at) * (width - LEFT - RIGHT);
  const losses = points.map((point) => point.y);
  const [low, high] = [Math.min(...losses), Math.max(...losses)];
  const label = lines
    .map(({ step, points: curve }) => `after ${number(step)} steps ${loss(figure(sweep, curve.at(-1)!.y))}`)
    .join(", ");
  const first = Math.min(...points.map((point) => point.x));
  const last = Math.max(...points.map((point) => point.x));
  return (
    <Figure
      title="Best so far"
      hint={`${measureOf(sweep)} of the best trial on the selecting rows, at each rung of steps.`}
    >
      <div ref={box}>
        <svg
          role="img"
          aria-label={`${measureOf(sweep)} of the best so far: ${label}`}
          viewBox={`0 0 ${width} ${HEIGHT}`}
          width={width}
          height={HEIGHT}
          style={styles.svg}
        >
          <line x1={LEFT} x2={LEFT} y1={y(0)} y2={y(1)} stroke="var(--line-strong)" />
          <line x1={LEFT} x2={width - RIGHT} y1={y(0)} y2={y(0)} stroke="var(--line-strong)" />
          <Text x={LEFT - 6} at={y(1) + 4} anchor="end">
            {loss(figure(sweep, high))}
          </Text>
          <Text x={LEFT - 6} at={y(0) + 4} anchor="end">
            {loss(figure(sweep, low))}
          </Text>
          <Text x={LEFT} at={HEIGHT - 8}>
            {clock(first, false)}
          </Text>
          <Text x={width - RIGHT} at={HEIGHT - 8} anchor="end">
            {clock(last, false)}
          </Text>
          {lines.map(({ step, points: curve }, index) => {
            const colour = `var(--series-${(index % MOST_SERIES) + 1})`;
            const path = curve
              .map((point, pointIndex) =>
                pointIndex === 0 ? `M${x(point.x)} ${y(up(point.y))}` : `H${x(point.x)}V${y(up(point.y))}`,
              )
              .join("");
            return (
              <g key={step}>
                <path d={path} fill="none" stroke={colour} stroke-width="2" />
                {curve.map((point, dotIndex) => (
                  <circle key={dotIndex} cx={x(point.x)} cy={y(up(point.y))} r="3" fill={colour} />
                ))}
              </g>
            );
          })}
        </svg>
      </div>
      <p class="hint" style={styles.legend}>
        {lines.map(({ step }, index) => (
          <span key={step} style={styles.key}>
            <Swatch colour={`var(--series-${(index % MOST_SERIES) + 1})`} />
            after {number(step)} steps
          </span>
        ))}
      </p>
    </Figure>
  );
}

const AXIS_GAP = 130;
const EDGE = 8;

export function Parallel({ sweep }: { sweep: Sweep }) {
  const trials = ranked(searched(sweep));
  const [box, room] = useWidth(true);
  const losses = trials.map((trial) => trial.results[0]!.loss);
  const scale = scaleOf(losses);
  const lossAxis: Axis = {
    field: "",
    label: measureOf(sweep),
    at: (value) => (typeof value === "number" ? scale(value) : null),
    marks: [
      { at: 0, text: loss(figure(sweep, Math.min(...losses))) },
      { at: 1, text: loss(figure(sweep, Math.max(...losses))) },
    ],
  };
  const axes = [...axesOf(sweep.space), lossAxis];
  const width = Math.max(room, AXIS_GAP * axes.length);
  const x = (index: number): number => EDGE + (index * (width - 2 * EDGE - LEFT)) / (axes.length - 1);
  const best = trials[0]!;
  const name = sweep.measure ? measureOf(sweep) : "loss";
  return (
    <Figure
      title="Trials"
      hint={`Each line is a trial, from its settings to its result after ${number(sweep.rungs?.[0])} steps. The best one stands out.`}
    >
      <div ref={box} style={styles.scroll} tabIndex={0} role="group" aria-label="Trials as lines">
        <svg
          role="img"
          aria-label={`${number(trials.length)} trials by ${axes.length - 1} settings. The best: ${settingsWords(best)}, ${name} ${loss(figure(sweep, lossOf(best)!))}`}
          viewBox={`0 0 ${width} ${HEIGHT}`}
          width={width}
          height={HEIGHT}
          style={styles.svg}
        >
          {[...trials].reverse().map((trial) => {
            const places = axes.map((axis, index) => {
              const value = axis === lossAxis ? trial.results[0]!.loss : trialValue(sweep, trial, axis.field);
              const at = axis.at(value);
              return at === null ? null : `${x(index)} ${y(at)}`;
            });
            const points = places.filter((point) => point !== null);
            const on = trial === best;
            return (
              <polyline
                key={trial.number}
                points={points.join(", ")}
                fill="none"
                stroke={on ? "var(--accent)" : trial.number === 0 ? "var(--second)" : "var(--ink-3)"}
                stroke-width={on || trial.number === 0 ? 3 : 1}
                stroke-dasharray={trial.number === 0 && !on ? "5 3" : undefined}
                opacity={on || trial.number === 0 ? 1 : 0.55}
              >
                <title>{`Trial ${trial.number}: ${settingsWords(trial)}, ${name} ${loss(figure(sweep, trial.results[0]!.loss))}`}</title>
              </polyline>
            );
          })}
          {axes.map((axis, index) => (
            <g key={axis.field}>
              <line x1={x(index)} x2={x(index)} y1={y(0)} y2={y(1)} stroke="var(--line-strong)" />
              {axis.marks.map((mark, markIndex) => (
                <Text key={markIndex} x={x(index) + 6} at={y(mark.at) + 4}>
                  {mark.text}
                </Text>
              ))}
              <Text x={x(index)} at={HEIGHT - 6} anchor={index === 0 ? "start" : "middle"}>
                {axis.label}
              </Text>
            </g>
          ))}
        </svg>
      </div>
      <p class="hint" style={styles.legend}>
        <span style={styles.key}>
          <Swatch colour="var(--accent)" /> the best
        </span>
        <span style={styles.key}>
          <Swatch colour="var(--second)" dashed /> your settings
        </span>
      </p>
    </Figure>
  );
}

export function Importances({ sweep }: { sweep: Sweep }) {
  const rows = sweep.importances ?? [];
  if (rows.length === 0) return null;
  const percent = (part: number): string => `${Math.round(100 * part)} %`;
  return (
    <Figure
      title="Importance of the settings"
      hint="The share of each setting in the differences between trials (PED-ANOVA), and the middle 90 % of it over resampled trials."
    >
      <ul style={styles.bars}>
        {rows.map(({ setting, mean, low, high }) => (
          <li key={setting}>
            <span style={styles.bar}>
              <span>{labelOf(setting)}</span>
              <span class="num dim">
                {percent(mean)} ({percent(low)} to {percent(high)})
              </span>
            </span>
            <svg width="100%" height="14" aria-hidden="true">
              <rect x="0" y="4" width={`${100 * mean}%`} height="6" rx="2" fill="var(--second)" />
              <line
                x1={`${100 * low}%`}
                x2={`${100 * high}%`}
                y1="7"
                y2="7"
                stroke="var(--ink)"
                stroke-width="1.5"
              />
            </svg>
          </li>
        ))}
      </ul>
    </Figure>
  );
}

/** The trials as a table, which says in figures what the lines show. */
export function TrialTable({ sweep, jobHref }: { sweep: Sweep; jobHref: (id: string) => string }) {
  const trials = ranked(searched(sweep));
  const failed = searched(sweep).filter(({ error }) => error);
  if (trials.length + failed.length === 0) return null;
  return (
    <div class="chart-statistics-table" tabIndex={0} role="group" aria-label="Trials">
      <table>
        <thead>
          <tr>
            <th scope="col">Trial</th>
            <th scope="col" style={styles.settings}>
              Settings
            </th>
            <th scope="col">Steps</th>
            <th scope="col">{measureOf(sweep)}</th>
          </tr>
        </thead>
        <tbody>
          {[...trials, ...failed.filter((trial) => !trials.includes(trial))].map((trial) => (
            <tr key={trial.number}>
              <th scope="row">
                <a href={jobHref(trial.jobId)}>{number(trial.number)}</a>
              </th>
              <td style={styles.settings}>
                {trial.error ? `${settingsWords(trial)}: ${trial.error}` : settingsWords(trial)}
              </td>
              <td class="num">{number(trial.results.at(-1)?.step)}</td>
              <td class="num">
                {lossOf(trial) === null ? "–" : figure(sweep, lossOf(trial)!).toFixed(DIGITS)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
