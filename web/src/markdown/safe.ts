/** Sanitises markdown tokens for the page: checks addresses, decodes entities. */

/** Control characters, marks that change how neighbouring text reads, and invisible characters of no width. */
export const UNWANTED =
  /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/gu;

/** An absolute http or https address, or null: nothing else ever becomes a link. */
export function safeHref(href: string): string | null {
  try {
    const url = new URL(href);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: "\u00a0",
  copy: "©",
  reg: "®",
  trade: "™",
  hellip: "…",
  mdash: "—",
  ndash: "–",
  lsquo: "‘",
  rsquo: "’",
  ldquo: "“",
  rdquo: "”",
  bull: "•",
  middot: "·",
  times: "×",
  divide: "÷",
  deg: "°",
  plusmn: "±",
  le: "≤",
  ge: "≥",
  ne: "≠",
  larr: "←",
  rarr: "→",
  euro: "€",
  pound: "£",
};

/**
 * Character references as the characters they denote; unknown ones stay as written. Unwanted characters are removed in
 * any case, since marked decodes numeric references itself.
 */
export function decodeEntities(text: string): string {
  const read = text.replace(
    /&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([a-zA-Z]{2,8}));/gu,
    (entity, decimal, hex, name) => {
      if (name !== undefined) return Object.hasOwn(ENTITIES, name) ? ENTITIES[name]! : entity;
      const code = decimal !== undefined ? Number(decimal) : Number.parseInt(hex, 16);
      const character =
        code === 9 || code === 10 || (code >= 32 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff));
      return character ? String.fromCodePoint(code) : "\ufffd";
    },
  );
  return read.replace(UNWANTED, "");
}
