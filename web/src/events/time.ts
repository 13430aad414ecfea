/** Parses timestamps from bytes: strings and `Date`s for 150,000 rows cost more than everything else. */

const DAY = 86_400_000;
let lastDate = -1;
let lastDays = 0;

/** ISO 8601 (`2026-11-25T00:09:12.345678Z`, or with an offset) to Unix milliseconds; NaN if invalid. */
export function parseTime(bytes: Uint8Array, start: number, end: number): number {
  const shaped =
    end - start >= 20 &&
    bytes[start + 4] === 45 &&
    bytes[start + 7] === 45 &&
    bytes[start + 10] === 84 &&
    bytes[start + 13] === 58 &&
    bytes[start + 16] === 58;
  if (!shaped) return byDate(bytes, start, end);
  const year = digits(bytes, start, 4);
  const month = digits(bytes, start + 5, 2);
  const day = digits(bytes, start + 8, 2);
  const clock =
    digits(bytes, start + 11, 2) * 3600 + digits(bytes, start + 14, 2) * 60 + digits(bytes, start + 17, 2);
  let i = start + 19;
  let fraction = 0;
  if (bytes[i] === 46) {
    let unit = 100;
    for (i++; i < end && bytes[i]! >= 48 && bytes[i]! <= 57; i++, unit /= 10)
      fraction += (bytes[i]! - 48) * unit;
  }
  const utc = (i === end - 1 && bytes[i] === 90) || (i === end - 6 && text(bytes, i, end) === "+00:00");
  if (!utc || clock !== clock) return byDate(bytes, start, end);
  const date = year * 10000 + month * 100 + day;
  if (date !== lastDate) {
    if (date !== date) return NaN;
    lastDate = date;
    lastDays = Date.UTC(year, month - 1, day) / DAY;
  }
  return lastDays * DAY + clock * 1000 + Math.trunc(fraction);
}

function digits(bytes: Uint8Array, start: number, count: number): number {
  let number = 0;
  for (let i = start; i < start + count; i++) {
    const digit = bytes[i]! - 48;
    if (!(digit >= 0 && digit <= 9)) return NaN;
    number = number * 10 + digit;
  }
  return number;
}

function text(bytes: Uint8Array, start: number, end: number): string {
  let out = "";
  for (let i = start; i < end; i++) out += String.fromCharCode(bytes[i]!);
  return out;
}

function byDate(bytes: Uint8Array, start: number, end: number): number {
  return end - start > 64 ? NaN : Date.parse(text(bytes, start, end));
}
