/** Converts a setting's value to a field's text, and back. */
import type { Kind } from "../../../form.gen";

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i;
const SMALL = 1e-3;
/** A list member, quoted if it contains a comma. */
const MEMBER = /\s*"(?:[^"\\]|\\.)*"\s*(?=,|$)|[^,]+/g;

/** Empty if the setting is not set; emptying the field removes it. */
export function textOf(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "number" && value !== 0 && Math.abs(value) < SMALL) return value.toExponential();
  if (Array.isArray(value)) return value.map(memberText).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** The value of a text; if it does not have the setting's type it stays text, for validation to reject. */
export function valueIn({ kind, of, alone }: Kind, text: string): unknown {
  const written = text.trim();
  if (written === "") return null;
  if (kind === "flag") return written === "true" ? true : written === "false" ? false : written;
  if (kind === "choice" || kind === "text") return written;
  if (kind === "list") {
    const members = (written.match(MEMBER) ?? [])
      .map((member) => valueIn(of!, unquoted(member)))
      .filter((member) => member !== null);
    return members.length === 0 ? null : alone?.includes(written) ? written : members;
  }
  const digits = written.replaceAll("_", "");
  return NUMBER.test(digits) ? Number(digits) : written;
}

function memberText(value: unknown): string {
  const text = textOf(value);
  return typeof value === "string" && /^\s*"|,/.test(text) ? JSON.stringify(text) : text;
}

function unquoted(member: string): string {
  try {
    const parsed: unknown = JSON.parse(member);
    return typeof parsed === "string" ? parsed : member;
  } catch {
    return member;
  }
}
