import type { Rows } from "../../events/rows";
import type { Metric } from "../data/series";

/** A curve that the page wants. `tone` is a colour token's name, such as `--accent`. */
export interface Track {
  key: string;
  label: string;
  rows: Rows;
  metric: Metric;
  origin: number;
  tone: string;
  /** An SVG dash pattern; none is a solid line. */
  dash?: string;
}
