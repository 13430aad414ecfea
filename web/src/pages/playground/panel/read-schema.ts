/** Parses a JSON Schema typed by the user. */

import { number } from "../../../lib/format";
import { isObject } from "../../../lib/json";
import { jsonFault } from "../../../lib/json-fault";

/** The contract's limit. */
const MOST_CHARACTERS = 64_000;

/** The schema, or what is missing, as a sentence. */
export function readSchema(text: string): { schema: object } | { fault: string } {
  if (text.trim() === "") return { fault: "There is no schema." };
  if (text.length > MOST_CHARACTERS)
    return {
      fault: `A schema has at most ${number(MOST_CHARACTERS)} characters; this has ${number(text.length)}.`,
    };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const found = jsonFault(text);
    return {
      fault: found
        ? `Line ${found.line}, column ${found.column}: expected ${found.expected}.`
        : `This is not JSON: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
  if (!isObject(value)) return { fault: 'A schema is an object, such as {"type": "object"}.' };
  // The wrapper of an OpenAI request: as a schema, it would allow everything.
  const around = isObject(value.json_schema) ? value.json_schema : value;
  return { schema: isObject(around.schema) ? around.schema : value };
}
