/** The page's icons, drawn on one 16-pixel grid with one line weight. */
const PATHS = {
  home: "M2.5 7.2 8 2.8l5.5 4.4v6H9.8V9.5H6.2v3.7H2.5z",
  data: "M2.5 3.5h11v9h-11zM2.5 6.5h11M2.5 9.5h11M6 6.5v6",
  jobs: "M2.5 4h11M2.5 8h11M2.5 12h7",
  playground: "M2.5 3.5h11v7.6H7L4 13.6v-2.5H2.5z",
  endpoints:
    "M5.8 10.2 10.2 5.8M7 4.6l1.5-1.5a3 3 0 0 1 4.3 4.3l-1.5 1.5M9 11.4l-1.5 1.5a3 3 0 0 1-4.3-4.3l1.5-1.5",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.3 10.3l3.4 3.4",
  copy: "M5.5 5.5h7v7h-7zM3.5 10.3V3.5h6.8",
  check: "m3.5 8.4 3 3 6-6.8",
  close: "m4 4 8 8M12 4l-8 8",
  more: "M3 8a.5.5 0 1 0 1 0 .5.5 0 1 0-1 0m4.5 0a.5.5 0 1 0 1 0 .5.5 0 1 0-1 0m4.5 0a.5.5 0 1 0 1 0 .5.5 0 1 0-1 0",
  down: "m4 6 4 4 4-4",
  up: "m4 10 4-4 4 4",
  right: "m6 4 4 4-4 4",
  left: "m10 4-4 4 4 4",
  download: "M8 2.5v8M4.8 7.5 8 10.7l3.2-3.2M3 13.5h10",
  sun: "M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6zM8 1.8v1.4M8 12.8v1.4M1.8 8h1.4M12.8 8h1.4M3.6 3.6l1 1M11.4 11.4l1 1M12.4 3.6l-1 1M4.6 11.4l-1 1",
  moon: "M13 9.6A5.6 5.6 0 0 1 6.4 3a5.3 5.3 0 1 0 6.6 6.6z",
  system: "M2.5 3.5h11v7h-11zM6 13.3h4M8 10.5v2.8",
  bell: "M4.2 11V7.2a3.8 3.8 0 0 1 7.6 0V11l1 1.2H3.2zM6.8 13.6h2.4",
  help: "M6 6.2a2 2 0 1 1 2.9 1.8c-.6.3-.9.7-.9 1.4M8 11.8h.01M8 14a6 6 0 1 0 0-12 6 6 0 0 0 0 12z",
  stop: "M4.5 4.5h7v7h-7z",
  plus: "M8 3.5v9M3.5 8h9",
  edit: "m3 13 .6-2.8 7-7 2.2 2.2-7 7z",
  refresh: "M13 8a5 5 0 1 1-1.6-3.7M13 2.8v2.6h-2.6",
  star: "m8 2.4 1.7 3.5 3.9.6-2.8 2.7.7 3.9L8 11.2l-3.5 1.9.7-3.9-2.8-2.7 3.9-.6z",
  good: "M2.5 7.3h2.2v6H2.5zM4.7 7.6l2.6-5c1.2 0 1.8.8 1.6 1.9l-.4 2h3.4c.9 0 1.5.8 1.3 1.6l-.9 4c-.1.7-.7 1.2-1.4 1.2H4.7",
  bad: "M2.5 8.7h2.2v-6H2.5zM4.7 8.4l2.6 5c1.2 0 1.8-.8 1.6-1.9l-.4-2h3.4c.9 0 1.5-.8 1.3-1.6l-.9-4c-.1-.7-.7-1.2-1.4-1.2H4.7",
  grip: "M6 4h.01M10 4h.01M6 8h.01M10 8h.01M6 12h.01M10 12h.01",
  panel: "M2.5 3.5h11v9h-11zM10 3.5v9",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg class="ui-icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The logo: a falling, flattening curve on a baseline. */
export function Mark({ size = 20 }: { size?: number }) {
  return (
    <svg class="ui-mark" width={size} height={size} viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path class="ui-mark-base" d="M2.5 17.25h15" />
      <path class="ui-mark-curve" d="M3 3c1.6 7.4 4.2 10.6 14 10.9" />
    </svg>
  );
}
