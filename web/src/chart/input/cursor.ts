import type { Scene } from "../geometry/scene";
import type { Span } from "../geometry/zoom-range";

/** Where the crosshair stands: under the pointer, or on a point that the keys chose. */
export type Cursor = { px: number; py: number } | { key: string; index: number };

/** What listeners that outlive a drawing see of the latest one. */
export interface Latest {
  scene: Scene | null;
  onZoom: (zoom: Span | null) => void;
}
