/** A curve's colour and dashes, as a short piece of it: SVG, because forced colours take backgrounds away. */
export function Swatch({ tone, dash }: { tone: string; dash?: string | undefined }) {
  return (
    <svg class="chart-key" width="18" height="8" aria-hidden="true">
      <path d="M1 4h16" style={{ stroke: `var(${tone})` }} stroke-dasharray={dash} />
    </svg>
  );
}
