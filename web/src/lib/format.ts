/**
 * Numbers, times and sizes as words. English and fixed, so that a screenshot reads the same everywhere; without Intl, of
 * which a new tab's first formatter alone takes 25 ms, a tenth of the time to a usable page.
 */

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Milliseconds as `8 s`, `2 min 05 s`, `1 h 04 min`, `3 d 02 h`; an en dash for anything but a duration. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms) || ms < 0) return "–";
  const seconds = Math.floor(ms / 1000);
  if (seconds < MINUTE) return `${seconds} s`;
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min ${two(seconds % MINUTE)} s`;
  if (seconds < DAY)
    return `${Math.floor(seconds / HOUR)} h ${two(Math.floor((seconds % HOUR) / MINUTE))} min`;
  return `${Math.floor(seconds / DAY)} d ${two(Math.floor((seconds % DAY) / HOUR))} h`;
}

/** An ISO time against `now` (milliseconds): `now`, `12 s ago`, `5 min ago`, `in 3 h`, `12 Nov`. */
export function relative(iso: string | null | undefined, now: number): string {
  const at = time(iso);
  if (at === null) return "–";
  const seconds = Math.round((now - at) / 1000);
  if (seconds <= -7 * DAY) return day(at, new Date(at).getFullYear() !== new Date(now).getFullYear());
  if (seconds <= -DAY) return `in ${Math.floor(-seconds / DAY)} d`;
  if (seconds <= -HOUR) return `in ${Math.floor(-seconds / HOUR)} h`;
  if (seconds <= -MINUTE) return `in ${Math.floor(-seconds / MINUTE)} min`;
  if (seconds < 3) return "now";
  if (seconds < MINUTE) return `${seconds} s ago`;
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min ago`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h ago`;
  if (seconds < 7 * DAY) return `${Math.floor(seconds / DAY)} d ago`;
  return day(at, new Date(at).getFullYear() !== new Date(now).getFullYear());
}

/** An ISO time in full, in the user's time zone. */
export function absolute(iso: string | null | undefined): string {
  const at = time(iso);
  return at === null ? "" : `${day(at)}, ${clock(at)}`;
}

/** `12 Nov 2025`, in the user's time zone; `at` is in Unix milliseconds. */
export function day(at: number, year = true): string {
  const date = new Date(at);
  return `${date.getDate()} ${MONTHS[date.getMonth()]}${year ? ` ${date.getFullYear()}` : ""}`;
}

/** `14:05:09`, or `14:05`, in the user's time zone; `at` is in Unix milliseconds. */
export function clock(at: number, seconds = true): string {
  const date = new Date(at);
  return `${two(date.getHours())}:${two(date.getMinutes())}${seconds ? `:${two(date.getSeconds())}` : ""}`;
}

/** Milliseconds since the epoch, or null for an invalid time. */
export function time(iso: string | null | undefined): number | null {
  if (!iso) return null;
  const at = Date.parse(iso);
  return Number.isNaN(at) ? null : at;
}

/** A loss with at most four significant digits and a steady width: `0.4321`, `2.615`, `12.3`, `1.2e+9`. */
export function loss(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e5)) return value.toExponential(2);
  return value.toFixed(size < 1 ? 4 : size < 10 ? 3 : size < 100 ? 2 : 1);
}

/** A number in groups of three digits, with `digits` decimals; by default its own, at most three. */
export function number(value: number | null | undefined, digits?: number): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const [integerPart = "", part] = (
    digits === undefined ? String(Number(value.toFixed(3))) : value.toFixed(digits)
  ).split(".");
  const grouped = integerPart.replace(/\B(?=(\d{3})+$)/g, ",");
  return part === undefined ? grouped : `${grouped}.${part}`;
}

/** Bytes in decimal units, like disks and downloads. */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value) || value < 0) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = value;
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit === 0 || size >= 99.5 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}

/** A learning rate in the usual notation: `0.0005`, `2e-5`. */
export function rate(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  if (value === 0) return "0";
  return Math.abs(value) >= 1e-4
    ? String(Number(value.toPrecision(3)))
    : value.toExponential().replace(/(\.\d\d)\d+/, "$1");
}

/** `1 step`, `40 steps`. */
export function plural(count: number, singular: string, many = `${singular}s`): string {
  return `${number(count)} ${count === 1 ? singular : many}`;
}

/** A model's short name: the last part of a path or Hub id. */
export function modelName(model: string | null | undefined): string {
  if (!model) return "–";
  return (
    model
      .replace(/[\\/]+$/, "")
      .split(/[\\/]/)
      .pop() || model
  );
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
