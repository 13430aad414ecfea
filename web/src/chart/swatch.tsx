/** A curve's colour and dash pattern. An SVG line, because forced-colors mode removes backgrounds. */
export function Swatch({ tone, dash }: { tone: string; dash?: string | undefined }) {
  return (
    <svg class="chart-key" width="18" height="8" aria-hidden="true">
      <path d="M1 4h16" style={{ stroke: `var(${tone})` }} stroke-dasharray={dash} />
    </svg>
  );
}
