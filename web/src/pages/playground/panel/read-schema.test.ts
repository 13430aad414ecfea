import { expect, it } from "vitest";
import { readSchema } from "./read-schema";

const schema = { type: "object", properties: { schema: { type: "string" } } };

it("reads a schema, also out of what OpenAI's API has around it", () => {
  expect(readSchema(JSON.stringify(schema, null, 2))).toEqual({ schema });
  expect(readSchema("{}")).toEqual({ schema: {} });
  for (const around of [
    { name: "n", strict: true, schema },
    { type: "json_schema", json_schema: { name: "n", schema } },
  ])
    expect(readSchema(JSON.stringify(around))).toEqual({ schema });
});

it.each([
  [" \n", "There is no schema."],
  ['{\n  "type": "object"\n  "a"', "Line 3, column 3: expected a comma or }."],
  ["[5]", 'A schema is an object, such as {"type": "object"}.'],
  ["null", 'A schema is an object, such as {"type": "object"}.'],
  [`{"a": "${"x".repeat(64_000)}"}`, "A schema has at most 64,000 characters; this has 64,009."],
])("says what is wrong with %j", (text, fault) => {
  expect(readSchema(text)).toEqual({ fault });
});
