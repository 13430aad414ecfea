/** A classifier's confusion matrix, and its rows by how sure it is. Pure. */
import type { EvaluationRow } from "../../../contract.gen";
import { number, plural } from "../../../lib/format";
import { finite, isObject } from "../../../lib/json";
import { clean } from "../../../lib/text";

/** Labels in a table; of more, those with the most errors. */
const MOST = 50;

export interface Cell {
  label: string;
  predicted: string;
  rows: number;
}

export interface Matrix {
  labels: readonly string[];
  /** Rows by label, then by predicted label. */
  counts: readonly (readonly number[])[];
  /** Rows of each label, whatever was predicted. */
  totals: readonly number[];
  /** Labels that have no place in the table. */
  left: number;
}

/** Null without a cell. */
export function matrixOf(sent: unknown): Matrix | null {
  const cells = cellsOf(sent);
  const errors = new Map<string, number>();
  for (const { label, predicted, rows } of cells)
    for (const name of [label, predicted])
      errors.set(name, (errors.get(name) ?? 0) + (label === predicted ? 0 : rows));
  const all = [...errors.keys()].sort((a, b) => errors.get(b)! - errors.get(a)!);
  if (all.length === 0) return null;
  const labels = all.slice(0, MOST).sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  const place = new Map(labels.map((label, at) => [label, at]));
  const counts = labels.map(() => labels.map(() => 0));
  const totals = labels.map(() => 0);
  for (const { label, predicted, rows } of cells) {
    const [row, column] = [place.get(label), place.get(predicted)];
    if (row === undefined) continue;
    totals[row]! += rows;
    if (column !== undefined) counts[row]![column]! += rows;
  }
  return { labels, counts, totals, left: all.length - labels.length };
}

function cellsOf(sent: unknown): Cell[] {
  if (!Array.isArray(sent)) return [];
  return sent.filter(isObject).flatMap(({ label, predicted, rows }) => {
    const count = finite(rows);
    return typeof label === "string" && typeof predicted === "string" && count !== null
      ? [{ label, predicted, rows: count }]
      : [];
  });
}

export interface LabeledRow {
  row: number;
  where: string;
  text: string;
  label: string;
  predicted: string;
  /** The probability of the predicted label; null if unknown. */
  confidence: number | null;
}

/** The rows that judged the classifier, the least sure first. */
export function leastSure(sent: unknown): LabeledRow[] {
  if (!Array.isArray(sent)) return [];
  const rows = sent.filter(isObject).flatMap((entry: Partial<Record<keyof EvaluationRow, unknown>>) => {
    const { row, where, question, wanted, adapterAnswer, confidence, chose } = entry;
    if (chose === true || typeof wanted !== "string" || typeof adapterAnswer !== "string") return [];
    return [
      {
        row: finite(row) ?? 0,
        where: typeof where === "string" ? where : "",
        text: typeof question === "string" ? question : "",
        label: wanted,
        predicted: adapterAnswer,
        confidence: finite(confidence),
      },
    ];
  });
  return rows.sort((a, b) => (a.confidence ?? 1) - (b.confidence ?? 1));
}

/** `3 rows with the label spam, predicted as ham` */
export const cellWords = ({ label, predicted, rows }: Cell): string =>
  `${plural(rows, "row")} with the label ${clean(label, 200)}, predicted ${label === predicted ? "correctly" : `as ${clean(predicted, 200)}`}`;

/** `predicted as ham with 62 %` */
export function predictedWords({ label, predicted, confidence }: LabeledRow): string {
  const sure = confidence === null ? "" : ` with ${number(Math.floor(100 * confidence))} %`;
  return label === predicted ? `predicted correctly${sure}` : `predicted as ${clean(predicted, 200)}${sure}`;
}
