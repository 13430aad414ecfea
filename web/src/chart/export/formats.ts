/** A chart as a file: a self-contained SVG with computed colours, or its numbers as CSV or JSON. */
import type { Rows } from "../../events/rows";
import { dotsPath, type Scene } from "../geometry/scene";
import { textAnchor } from "../geometry/ticks";
import type { Track } from "../geometry/track";

export interface Palette {
  paper: string;
  ink: string;
  hint: string;
  grid: string;
  axis: string;
  gap: string;
  /** By token, such as `--accent`. */
  tones: ReadonlyMap<string, string>;
}

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif";
const HEAD = 26;
const ROW = 18;
/** A longer name is cut, or it would push all others into separate rows. */
const LONGEST = 420;
const CHARACTER = 6.8;
const DOT = ' stroke-width="6" stroke-linecap="round"';

/** The scene as a self-contained SVG file with a title and a legend above it. */
export function sceneToSvg(scene: Scene, title: string, palette: Palette): string {
  const { width, height, left, right, top, bottom, x, y, side } = scene;
  const tone = (name: string): string => palette.tones.get(name) ?? palette.ink;
  const line = (d: string, stroke: string, more = ""): string =>
    d === "" ? "" : `<path d="${d}" fill="none" stroke="${stroke}"${more}/>`;
  const text = (px: number, py: number, label: string, fill: string, anchor = "middle"): string =>
    `<text x="${round(px)}" y="${round(py)}" fill="${fill}" text-anchor="${anchor}">${escapeXml(label)}</text>`;
  const { items, rows } = legendLayout(
    scene.drawn.map(({ track }) => track),
    left,
    width,
  );
  const head = HEAD + rows * ROW;
  const legend = items.flatMap(({ track, label, x, row }) => {
    const py = (row - rows) * ROW + 2;
    return [
      line(`M${round(x)} ${py}h18`, tone(track.tone), ` stroke-width="2"${dash(track.dash)}`),
      text(x + 24, py + 4, label, palette.hint, "start"),
    ];
  });
  const curves = scene.drawn.toReversed().flatMap(({ track, raw, main, points }) => {
    const dots = track.metric.startsWith("eval") && points.length > 0 ? points : main.dots;
    return [
      raw
        ? line(raw.d, tone(track.tone), ' stroke-opacity="0.3"') +
          line(dotsPath(raw.dots), tone(track.tone), ` stroke-opacity="0.3"${DOT}`)
        : "",
      line(main.d, tone(track.tone), ` stroke-width="1.75" stroke-linejoin="round"${dash(track.dash)}`),
      line(dotsPath(dots), tone(track.tone), DOT),
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height + head}" viewBox="0 ${-head} ${width} ${height + head}" font-family="${FONT}" font-size="12">`,
    `<title>${escapeXml(title)}</title>`,
    `<rect y="${-head}" width="${width}" height="${height + head}" fill="${palette.paper}"/>`,
    text(left, 16 - head, truncated(title, width - left - 8), palette.ink, "start"),
    ...legend,
    ...scene.yTicks.flatMap(({ value, label }) => [
      line(`M0 ${round(y.map(value))}H${width}`, palette.grid),
      text(left - 10, y.map(value) - 4, label, palette.hint, "end"),
    ]),
    ...scene.sideTicks.map(({ value, label }) =>
      text(right + 8, (side ?? y).map(value) - 4, label, palette.hint, "start"),
    ),
    line(`M0 ${bottom}H${width}`, palette.axis),
    ...scene.xTicks.map(({ value, label }) =>
      text(x.map(value), bottom + 20, label, palette.hint, textAnchor(x.map(value), label, width)),
    ),
    `<clipPath id="plot"><rect x="${left - 3}" width="${right - left + 6}" height="${bottom + 3}"/></clipPath><g clip-path="url(#plot)">`,
    line(scene.gaps.map((px) => `M${px} ${top}V${bottom}`).join(""), palette.gap, ' stroke-opacity="0.22"'),
    ...curves,
    "</g>",
    ...scene.marks.map(
      (mark) =>
        `<path d="M${round(mark.x)} ${bottom - 5}l4 5-4 5-4-5z" fill="${palette.paper}" stroke="${palette.hint}"/>`,
    ),
    "</svg>",
  ].join("\n");
}

/** Approximate maximum width of a text: emoji and East Asian characters count twice. */
function widthOf(text: string): number {
  return [...text].reduce((sum, sign) => sum + (sign > "\u2e80" ? 2 : 1), 0) * CHARACTER;
}

function truncated(text: string, room: number): string {
  let signs = [...text];
  if (widthOf(text) <= room) return text;
  while (signs.length > 0 && widthOf(`${signs.join("")}…`) > room) signs = signs.slice(0, -1);
  return `${signs.join("").trim()}…`;
}

/** The position of each curve's name above the plot: in rows, none wider than the picture. */
export function legendLayout(
  tracks: readonly Track[],
  left: number,
  width: number,
): { items: { track: Track; label: string; x: number; row: number }[]; rows: number } {
  const room = width - left - 8;
  let x = left;
  let row = 0;
  const items = tracks.map((track) => {
    const label = truncated(track.label, Math.min(room, LONGEST) - 24);
    const size = 24 + widthOf(label);
    if (x > left && x + size > left + room) {
      x = left;
      row++;
    }
    const item = { track, label, x, row };
    x += size + 20;
    return item;
  });
  return { items, rows: tracks.length > 0 ? row + 1 : 0 };
}

function dash(pattern: string | undefined): string {
  return pattern === undefined ? "" : ` stroke-dasharray="${pattern}"`;
}

function round(pixel: number): number {
  return Math.round(pixel * 10) / 10;
}

/** Also drops what XML 1.0 cannot contain, since no program would open the file otherwise. */
export function escapeXml(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "")
    .replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

const COLUMNS = [
  "step",
  "epoch",
  "time",
  "loss",
  "evalLoss",
  "learningRate",
  "tokensPerSecond",
  "samplesPerSecond",
] as const;

/** One row per logged row; an empty cell is a missing value, `NaN` a non-finite one (RFC 4180). */
export function rowsToCsv(runs: readonly { id: string; name: string; rows: Rows }[]): string {
  const several = runs.length > 1;
  const lines = [[...(several ? ["job", "id"] : []), ...COLUMNS].join(",")];
  for (const { id, name, rows } of runs) {
    for (let row = 0; row < rows.length; row++) {
      const values = valuesOf(rows, row).map((value, column) => {
        if (value !== value) return "";
        if (COLUMNS[column] === "time") return new Date(value).toISOString();
        return Number.isFinite(value) ? String(value) : "NaN";
      });
      lines.push([...(several ? [cell(name), cell(id)] : []), ...values].join(","));
    }
  }
  return `${lines.join("\r\n")}\r\n`;
}

/** Quotes a cell that a spreadsheet would interpret as a formula. */
function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** One JSON object per line and logged row; with several jobs each names its own. */
export function rowsToJsonLines(runs: readonly { id: string; name: string; rows: Rows }[]): string {
  const lines = runs.flatMap(({ id, name, rows }) =>
    pointsOf(rows).map((point) => JSON.stringify(runs.length > 1 ? { job: name, id, ...point } : point)),
  );
  return lines.map((line) => `${line}\n`).join("");
}

/** `{jobs: [{…job, points: [{step, time, …}]}]}`; a non-finite value is null, a missing one is left out. */
export function rowsToJson(runs: readonly { job: unknown; rows: Rows }[]): string {
  const jobs = runs.map(({ job, rows }) => ({
    ...(job as object),
    points: pointsOf(rows),
  }));
  return JSON.stringify({ jobs }, null, 1);
}

function pointsOf(rows: Rows): Record<string, number | string | null>[] {
  return Array.from({ length: rows.length }, (_, row) => {
    const point: Record<string, number | string | null> = {};
    valuesOf(rows, row).forEach((value, column) => {
      if (value !== value) return;
      point[COLUMNS[column]!] =
        COLUMNS[column] === "time" ? new Date(value).toISOString() : Number.isFinite(value) ? value : null;
    });
    return point;
  });
}

function valuesOf(rows: Rows, row: number): number[] {
  return [
    rows.step,
    rows.epoch,
    rows.time,
    rows.loss,
    rows.evalLoss,
    rows.lr,
    rows.tokensPerSecond,
    rows.samplesPerSecond,
  ].map((column) => column.at(row));
}
