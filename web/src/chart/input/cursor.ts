import type { Scene } from "../geometry/scene";
import type { Span } from "../geometry/zoom-range";

/** The crosshair's position: under the pointer, or on a point chosen by key. */
export type Cursor = { px: number; py: number } | { key: string; index: number };

/** What listeners that outlive a drawing need from the latest one. */
export interface Latest {
  scene: Scene | null;
  onZoom: (zoom: Span | null) => void;
}
