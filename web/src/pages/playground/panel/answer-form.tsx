/**
 * The required format of an answer: free text, JSON, or JSON that fits a schema. Receives its state as props, so that
 * its code shares none with the page's.
 */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Conversation } from "../../../chat/model/types";
import type { AnswerForm } from "../../../chat/more";
import { clean } from "../../../lib/text";
import { Chips } from "../../../ui/controls/switch";
import { readSchema } from "./read-schema";

/** A schema to start from: few know the syntax by heart. */
const FIRST = {
  type: "object",
  properties: { answer: { type: "string" } },
  required: ["answer"],
  additionalProperties: false,
};

type Kind = AnswerForm["type"] | "text";

interface Props {
  form: AnswerForm | undefined;
  onChange: (form: AnswerForm | undefined) => void;
  conversation: Conversation;
  /** Whether tools are set, which are not sent with a structured answer. */
  tools: boolean;
}

export function AnswerFormField({ form, onChange, conversation, tools }: Props) {
  const schema = form?.type === "json_schema" ? form.json_schema.schema : null;
  const last = useRef<object>(FIRST);
  if (schema) last.current = schema;
  const choose = (kind: Kind): void => {
    if (kind === "text") onChange(undefined);
    else onChange(kind === "json_object" ? { type: kind } : formOf(last.current));
  };
  const refusal = form && refusalOf(conversation, form);
  return (
    <>
      <p>Answer form</p>
      <Chips<Kind>
        label="Answer form"
        value={form?.type ?? "text"}
        items={[
          { value: "text", label: "Free text" },
          { value: "json_object", label: "JSON" },
          { value: "json_schema", label: "JSON schema" },
        ]}
        onChange={choose}
      />
      {schema && (
        <Schema schema={schema} refused={refusal !== null} onChange={(next) => onChange(formOf(next))} />
      )}
      {refusal && (
        <p id="pg-form-refusal" class="pg-param-note" role="alert">
          {refusal}
        </p>
      )}
      {form && (
        <p class="hint">
          {
            "The answer is constrained to it, but the model doesn't see it: describe in your message what you want."
          }
          {tools && " No tools are offered meanwhile."}
        </p>
      )}
    </>
  );
}

const formOf = (schema: object): AnswerForm => ({
  type: "json_schema",
  json_schema: { name: "answer", schema },
});

/** Why the backend did not answer the last question in this format; null if unknown. */
function refusalOf({ turns, leaf }: Conversation, form: AnswerForm): string | null {
  const formText = JSON.stringify(form);
  const refused = turns[leaf ?? ""]?.answers.find(
    (answer) =>
      answer?.state === "failed" &&
      JSON.stringify(answer.asked?.more?.responseFormat) === formText &&
      /response_?format|schema/iu.test(answer.error ?? ""),
  );
  return refused ? clean(refused.error, 500) : null;
}

function Schema({
  schema,
  refused,
  onChange,
}: {
  schema: object;
  refused: boolean;
  onChange: (schema: object) => void;
}) {
  const area = useRef<HTMLTextAreaElement>(null);
  const [fault, setFault] = useState<string | null>(null);
  const text = JSON.stringify(schema, null, 2);
  // Shows another conversation's schema, but does not rewrite one that is being typed.
  useLayoutEffect(() => {
    if (document.activeElement === area.current) return;
    area.current!.value = text;
    setFault(null);
  }, [text]);
  const typing = (input: string): void => {
    const read = readSchema(input);
    setFault("fault" in read ? read.fault : null);
    if ("schema" in read) onChange(read.schema);
  };
  return (
    <>
      <textarea
        ref={area}
        class="ui-input pg-system"
        style={{ fontFamily: "var(--mono)" }}
        aria-label="JSON schema of the answer"
        rows={9}
        spellcheck={false}
        autocapitalize="off"
        aria-invalid={fault !== null || refused}
        aria-describedby={fault ? "pg-schema-note" : refused ? "pg-form-refusal" : undefined}
        onInput={(event) => typing(event.currentTarget.value)}
      />
      {fault && (
        <p id="pg-schema-note" class="pg-param-note" role="status">
          {fault} Until then the last schema that was whole is used.
        </p>
      )}
    </>
  );
}
