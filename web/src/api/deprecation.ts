/** A backend's deprecation notices in `Deprecation`, `Sunset` and `Warning`, which the daemon forwards. */
import { signal } from "@preact/signals";
import { day } from "../lib/format";
import { DISMISSED_NOTICE, readStored, writeStored } from "../lib/storage";
import { clean } from "../lib/text";

const MOST = 300;

/** The current notice, unless it was dismissed. */
export const notice = signal<string | null>(null);

let last = "";

/** Reads a response's headers; a notice that every response repeats is shown once. */
export function noticed(headers: Headers): void {
  const text = deprecationText(headers.get("Deprecation"), headers.get("Sunset"), headers.get("Warning"));
  if (text === "" || text === last) return;
  last = text;
  if (readStored(DISMISSED_NOTICE) !== text) notice.value = text;
}

/** Hidden until the backend sends a different notice. */
export function putAway(): void {
  writeStored(DISMISSED_NOTICE, notice.peek());
  notice.value = null;
}

/**
 * `Deprecation` is `@1767225600` (RFC 9745) or, from older servers, `true` or a date; `Sunset` a date (RFC 8594);
 * `Warning` a code, an agent and a quoted text (RFC 7234). Anything else is shown as received.
 */
export function deprecationText(
  deprecation: string | null,
  sunset: string | null,
  warning: string | null,
): string {
  const words: string[] = [];
  if (warning) words.push(sentence(quoted(warning)));
  if (deprecation)
    words.push(
      deprecation === "true"
        ? "A backend API that Studio uses is deprecated."
        : `A backend API that Studio uses has been deprecated since ${dayOf(deprecation)}.`,
    );
  if (sunset) words.push(`It ends on ${dayOf(sunset)}.`);
  return words.join(" ");
}

function quoted(warning: string): string {
  const text = /"((?:[^"\\]|\\.)*)"/.exec(warning)?.[1];
  return text === undefined ? warning : text.replace(/\\(.)/g, "$1");
}

function sentence(text: string): string {
  const plain = clean(text, MOST).trim();
  return /[.!?…]$/.test(plain) ? plain : `${plain}.`;
}

function dayOf(text: string): string {
  const at = /^@-?\d+$/.test(text) ? Number(text.slice(1)) * 1000 : Date.parse(text);
  return Number.isFinite(at) && Math.abs(at) <= 8.64e15 ? day(at) : clean(text, 60);
}
