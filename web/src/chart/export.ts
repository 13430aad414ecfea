/** The export menu: a picture of the visible chart, or all the numbers. */
import type { Job } from "../contract.gen";
import type { Rows } from "../events/rows";
import { fileName, saveFile } from "../lib/download";
import { configOf, shareable } from "../lib/job-config-text";
import { clean } from "../lib/text";
import { say } from "../ui/controls/live";
import type { MenuItem } from "../ui/controls/menu";
import type { Shown } from "./chart";
import type { Scene } from "./scene";

interface ExportRun {
  id: string;
  name: string;
  job: unknown;
  rows: Rows;
}

/** A job as named in an export. */
export function exportRun(id: string, name: string, job: Job | undefined, rows: Rows): ExportRun {
  return { id, name, job: { id, name: job?.name, config: job && shareable(configOf(job)) }, rows };
}

export function exportItems({ scene, svg }: Shown, title: string, runs: readonly ExportRun[]): MenuItem[] {
  const picture = (label: string, save: (text: string) => void | Promise<void>): MenuItem => ({
    label,
    hint: "picture",
    run: () => {
      if (svg.current && scene.value) void save(selfContained(svg.current, scene.value, title));
    },
  });
  const points = (label: string, ending: string, type: string, text: typeof csvOf): MenuItem => ({
    label,
    hint: "all points",
    run: () => saveFile(fileName(title, ending), text(runs), type),
  });
  return [
    picture("SVG", (text) => saveFile(fileName(title, "svg"), text, "image/svg+xml")),
    picture("PNG", async (text) => {
      if (isGarbled())
        return say("This browser garbles PNG pictures to resist fingerprinting. Save the SVG instead.");
      const png = await pngOf(text).catch(() => null);
      if (png) saveFile(fileName(title, "png"), png);
      else say("The picture could not be made");
    }),
    points("CSV", "csv", "text/csv", csvOf),
    points("JSON Lines", "jsonl", "application/jsonl", jsonLinesOf),
    points("JSON", "json", "application/json", jsonOf),
  ];
}

const STYLES = ["fill", "stroke", "stroke-width", "stroke-opacity", "stroke-linecap", "stroke-linejoin"];
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif";
const HEAD = 26;
const ROW = 18;

/** The chart as drawn, as an SVG file of its own: with computed colours, its title, and a row per curve above it. */
function selfContained(drawn: SVGSVGElement, { lines, width, height, left }: Scene, title: string): string {
  const svg = drawn.cloneNode(true) as SVGSVGElement;
  const copies = svg.querySelectorAll<SVGElement>("*");
  for (const [index, element] of drawn.querySelectorAll("*").entries()) {
    const copy = copies[index]!;
    const style = getComputedStyle(element);
    for (const name of STYLES) copy.setAttribute(name, rgbOf(style.getPropertyValue(name)));
    for (const name of ["class", "style", "href", "aria-label"]) copy.removeAttribute(name);
  }
  for (const hint of svg.querySelectorAll("title")) hint.remove();
  const head = HEAD + ROW * lines.length;
  const add = (name: string, attributes: Record<string, string | number>, text = ""): SVGElement => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, rgbOf(String(value)));
    element.textContent = text;
    return element;
  };
  for (const name of ["class", "aria-hidden"]) svg.removeAttribute(name);
  for (const [name, value] of Object.entries({
    height: height + head,
    viewBox: `0 ${-head} ${width} ${height + head}`,
    "font-family": FONT,
  }))
    svg.setAttribute(name, String(value));
  svg.prepend(
    add("title", {}, clean(title)),
    add("rect", { y: -head, width, height: height + head, fill: "var(--bg)" }),
    add("text", { x: left, y: 16 - head, fill: "var(--ink)" }, clean(title)),
    ...lines.flatMap(({ track: { tone, dash = "", label } }, row) => {
      const y = HEAD + ROW * row - head + 6;
      const style = { stroke: `var(${tone})`, "stroke-width": 2, "stroke-dasharray": dash };
      return [
        add("path", { d: `M${left} ${y}h18`, ...style }),
        add("text", { x: left + 24, y: y + 4, fill: "var(--ink-2)" }, clean(label)),
      ];
    }),
  );
  // XML 1.0 cannot contain everything: no program would open the file.
  return new XMLSerializer()
    .serializeToString(svg)
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "");
}

/** A colour as `rgb()`, since drawing programs know neither custom properties nor oklch; other values unchanged. */
function rgbOf(value: string): string {
  if (!/^(var|oklch|oklab|color)\(/.test(value)) return value;
  const probe = document.body.appendChild(document.createElement("span"));
  probe.style.color = `color-mix(in srgb, ${value}, ${value})`;
  const parts = getComputedStyle(probe)
    .color.match(/-?[\d.]+(e-?\d+)?/g)!
    .slice(0, 3);
  probe.remove();
  return `rgb(${parts.map((part) => Math.round(255 * Math.min(1, Math.max(0, Number(part)))))})`;
}

function canvasOf(width: number, height: number): CanvasRenderingContext2D {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  return canvas.getContext("2d")!;
}

/** Whether this browser adds noise to canvas pixels, to resist fingerprinting. */
function isGarbled(): boolean {
  const pen = canvasOf(8, 8);
  pen.fillStyle = "#808080";
  pen.fillRect(0, 0, 8, 8);
  return pen.getImageData(0, 0, 8, 8).data.some((value, at) => at % 4 < 3 && Math.abs(value - 128) > 16);
}

/** At twice the size, for dense screens. */
async function pngOf(svg: string): Promise<Blob | null> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const pen = canvasOf(image.width * 2, image.height * 2);
  pen.drawImage(image, 0, 0, pen.canvas.width, pen.canvas.height);
  return new Promise((resolve) => pen.canvas.toBlob(resolve, "image/png"));
}

/** The columns of a file, by their names in `Rows`. */
const COLUMNS = {
  step: "step",
  epoch: "epoch",
  time: "time",
  loss: "loss",
  evalLoss: "evalLoss",
  learningRate: "lr",
  tokensPerSecond: "tokensPerSecond",
  samplesPerSecond: "samplesPerSecond",
} as const;

type Point = Record<string, number | string | null>;

/** The logged values of each row: non-finite ones are null, missing ones left out. */
function pointsOf(rows: Rows): Point[] {
  return Array.from({ length: rows.length }, (_, row) => {
    const point: Point = {};
    for (const [name, column] of Object.entries(COLUMNS)) {
      const value = rows[column].at(row);
      if (value !== value) continue;
      point[name] = !Number.isFinite(value) ? null : name === "time" ? new Date(value).toISOString() : value;
    }
    return point;
  });
}

/** One row per logged row; an empty cell is a missing value, `NaN` a non-finite one (RFC 4180). */
export function csvOf(runs: readonly ExportRun[]): string {
  const names = Object.keys(COLUMNS);
  const several = runs.length > 1;
  const lines = runs.flatMap(({ id, name, rows }) =>
    pointsOf(rows).map((point) => [
      ...(several ? [cell(name), cell(id)] : []),
      ...names.map((column) => (column in point ? (point[column] ?? "NaN") : "")),
    ]),
  );
  return [[...(several ? ["job", "id"] : []), ...names], ...lines]
    .map((line) => `${line.join(",")}\r\n`)
    .join("");
}

/** Quotes a cell that a spreadsheet would interpret as a formula. */
function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** One JSON object per line and logged row; with several jobs each names its own. */
export function jsonLinesOf(runs: readonly ExportRun[]): string {
  const lines = runs.flatMap(({ id, name, rows }) =>
    pointsOf(rows).map((point) => (runs.length > 1 ? { job: name, id, ...point } : point)),
  );
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
}

/** `{jobs: [{…job, points: [{step, time, …}]}]}`. */
export function jsonOf(runs: readonly ExportRun[]): string {
  const jobs = runs.map(({ job, rows }) => ({ ...(job as object), points: pointsOf(rows) }));
  return JSON.stringify({ jobs }, null, 1);
}
