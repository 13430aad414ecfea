import "./skeleton.css";

/** The outline of the expected content; it appears after 150 ms (in CSS), so that quick answers never flash. */
export function Skeleton({ lines = 3, height = 14 }: { lines?: number; height?: number }) {
  return (
    <div class="ui-skeleton" aria-hidden="true">
      {Array.from({ length: lines }, (_, index) => (
        <span key={index} style={{ height: `${height}px`, width: `${[92, 78, 85, 64][index % 4]}%` }} />
      ))}
    </div>
  );
}
