/** Reads a JSON Schema while it is typed. */

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
    const fault = jsonFault(text);
    return {
      fault: fault
        ? `Line ${fault.line}, column ${fault.column}: expected ${fault.expected}.`
        : `Not valid JSON: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
  if (!isObject(value)) return { fault: 'A schema is an object, such as {"type": "object"}.' };
  // Copied from a request of OpenAI's API: taken as a schema, it would allow everything.
  const around = isObject(value.json_schema) ? value.json_schema : value;
  return { schema: isObject(around.schema) ? around.schema : value };
}
