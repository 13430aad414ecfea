import type { Rows } from "../../events/rows";
import type { Metric } from "../data/series";

/** A requested curve. `tone` is a colour token's name, such as `--accent`. */
export interface Track {
  key: string;
  label: string;
  rows: Rows;
  metric: Metric;
  origin: number;
  /** Steps of the parent run before its own first one: a branch begins where it left its parent. */
  shift?: number;
  tone: string;
  /** An SVG dash pattern; undefined for a solid line. */
  dash?: string;
}
