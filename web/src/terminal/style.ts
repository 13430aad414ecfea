/** ANSI "select graphic rendition" as class names: our sixteen colours, readable in both themes. */

export interface Style {
  /** 0–15, or -1 for the default colour. */
  color: number;
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
  inverse: boolean;
}

export const PLAIN: Style = {
  color: -1,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  inverse: false,
};

/** The parameters of a sequence; compound ones (`38:2::r:g:b`, `4:3`) are converted to plain equivalents. */
export function paramsOf(sequence: string): number[] {
  return sequence.split(";").flatMap((part) => {
    const [first = 0, kind = 0, ...rest] = part.split(":").map(Number);
    if (!part.includes(":")) return first;
    if (first === 4) return kind === 0 ? 24 : 4;
    const [red = 0, green = 0, blue = 0] = rest.slice(-3);
    return kind === 2 ? [first, 2, red, green, blue] : kind === 5 ? [first, 5, rest[0] ?? 0] : [];
  });
}

/** The code that sets an attribute, the one that resets it, and its name. */
const MARKS = [
  [1, 22, "bold"],
  [2, 22, "dim"],
  [3, 23, "italic"],
  [4, 24, "underline"],
  [7, 27, "inverse"],
] as const;

/** The style after an SGR sequence with these parameters; unknown ones change nothing. */
export function sgr(before: Style, params: readonly number[]): Style {
  let style = { ...before };
  for (let index = 0; index < params.length; index += 1) {
    const code = params[index] ?? 0;
    for (const [on, off, name] of MARKS) if (code === on || code === off) style[name] = code === on;
    if (code === 0) style = { ...PLAIN };
    else if (code >= 30 && code <= 37) style.color = code - 30;
    else if (code === 39) style.color = -1;
    else if (code >= 90 && code <= 97) style.color = code - 82;
    else if (code === 38 || code === 48 || code === 58) {
      const { color, used } = extended(params.slice(index + 1));
      if (code === 38 && color !== null) style.color = color;
      index += used;
    }
  }
  return same(style, PLAIN) ? PLAIN : style;
}

/** `5;n` or `2;r;g;b`, mapped to the nearest of the sixteen. */
function extended(rest: readonly number[]): { color: number | null; used: number } {
  if (rest[0] === 5) {
    const n = rest[1] ?? 0;
    if (n < 16) return { color: n, used: 2 };
    if (n >= 232) return { color: n < 244 ? 8 : 7, used: 2 };
    const cube = n - 16;
    const level = (value: number): number => (value === 0 ? 0 : 55 + value * 40);
    return {
      color: nearest(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6)),
      used: 2,
    };
  }
  if (rest[0] === 2) return { color: nearest(rest[1] ?? 0, rest[2] ?? 0, rest[3] ?? 0), used: 4 };
  return { color: null, used: 0 };
}

function nearest(red: number, green: number, blue: number): number {
  const most = Math.max(red, green, blue);
  const least = Math.min(red, green, blue);
  if (most - least < 40) return most > 160 ? 7 : 8;
  const half = (most + least) / 2;
  const bits = (red > half ? 1 : 0) | (green > half ? 2 : 0) | (blue > half ? 4 : 0);
  return bits + (most > 180 ? 8 : 0);
}

export function same(a: Style, b: Style): boolean {
  return a.color === b.color && MARKS.every(([, , name]) => a[name] === b[name]);
}

/** The class names of a span; empty for plain text. */
export function classOf(style: Style): string {
  const marks = MARKS.filter(([, , name]) => style[name]).map(([, , name]) => `term-${name}`);
  return [...(style.color >= 0 ? [`term-c${style.color}`] : []), ...marks].join(" ");
}
