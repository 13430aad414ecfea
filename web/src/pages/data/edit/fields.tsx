/** The inputs of a row: one for each text, and one block for each message of a conversation. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { clean } from "../../../lib/text";
import { fitHeight } from "../../../lib/textarea";
import { Button } from "../../../ui/controls/button";
import { Select } from "../../../ui/controls/switch";
import {
  canSplit,
  conversationOf,
  type Field,
  fieldsOf,
  type Json,
  listOf,
  type MessagesField,
  nextRole,
  type Fields as Record_,
  rolesFor,
  withPart,
  withValue,
} from "./record";

interface Props {
  record: Record_;
  columns: Readonly<Record<string, string>>;
  change: (record: Record_) => void;
  /** Splits the row before a message of its conversation; null if it can't be. */
  split: ((field: MessagesField, at: number) => void) | null;
}

export function Fields({ record, columns, change, split }: Props) {
  const conversation = conversationOf(record, columns)?.name;
  const { main, other } = fieldsOf(record, columns);
  const one = (field: Field) => (
    <One
      key={field.name}
      field={field}
      record={record}
      set={(value) => change(withValue(record, field.name, value))}
      split={field.name === conversation ? split : null}
    />
  );
  return (
    <>
      {main.map(one)}
      {other.length > 0 && (
        <details class="data-edit-other" open={main.length === 0}>
          <summary>Other values of the row</summary>
          {other.map(one)}
        </details>
      )}
    </>
  );
}

interface OneProps extends Pick<Props, "record" | "split"> {
  field: Field;
  set: (value: Json) => void;
}

function One({ field, record, set, split }: OneProps) {
  const value = record[field.name] ?? null;
  const label = clean(field.label, 100);
  if (field.kind === "messages")
    return <Messages field={field} list={listOf(record, field)} {...{ set, split }} />;
  if (field.kind === "text")
    return <Text label={label} value={typeof value === "string" ? value : ""} set={set} />;
  return <AsJson label={label} value={value} set={set} />;
}

interface MessagesProps extends Pick<Props, "split"> {
  field: MessagesField;
  list: Record_[];
  set: (value: Json) => void;
}

function Messages({ field, list, set, split }: MessagesProps) {
  const { roleKey, contentKey } = field;
  const put = (at: number, message: Record_): void => set(list.with(at, message));
  const add = (at: number): void =>
    set(list.toSpliced(at + 1, 0, { [roleKey]: nextRole(list, at, roleKey), [contentKey]: "" }));
  const system = list[0]?.[roleKey] === "system";
  return (
    <fieldset class="data-edit-messages">
      <legend class="visually-hidden">{clean(field.label, 100)}</legend>
      {!system && (
        <Button small kind="quiet" onClick={() => set([{ [roleKey]: "system", [contentKey]: "" }, ...list])}>
          Add a system prompt
        </Button>
      )}
      {list.map((message, at) => {
        const name = `Message ${at + 1}`;
        const role = message[roleKey];
        const content = message[contentKey];
        return (
          <div key={at} class="data-edit-message">
            <div class="data-edit-line">
              <Select
                aria-label={`${name}, role`}
                value={typeof role === "string" ? role : ""}
                options={rolesFor(roleKey, role).map((option) => [option, clean(option, 40)])}
                onChange={(next) => put(at, withPart(message, roleKey, next))}
              />
              <span class="data-edit-tools">
                {message.tool_calls === undefined && roleKey === "role" && role === "assistant" && (
                  <Button
                    small
                    kind="quiet"
                    aria-label={`Add tool call to message ${at + 1}`}
                    onClick={() => put(at, withPart(message, "tool_calls", NEW_CALL))}
                  >
                    Add tool call
                  </Button>
                )}
                {split && canSplit(list, roleKey, at) && (
                  <Button
                    small
                    kind="quiet"
                    aria-label={`Split above message ${at + 1}`}
                    title="This message and those below become a row of their own"
                    onClick={() => split(field, at)}
                  >
                    Split above
                  </Button>
                )}
                <Button small kind="quiet" aria-label={`Add below message ${at + 1}`} onClick={() => add(at)}>
                  Add below
                </Button>
                <Button
                  small
                  kind="quiet"
                  aria-label={`Remove message ${at + 1}`}
                  disabled={list.length === 1}
                  onClick={() => set(list.toSpliced(at, 1))}
                >
                  Remove
                </Button>
              </span>
            </div>
            {typeof content === "string" || content === undefined || content === null ? (
              <Text
                label={`${name}, text`}
                bare
                value={content ?? ""}
                set={(text) => put(at, withPart(message, contentKey, text))}
              />
            ) : (
              <AsJson
                label={`${name}, content`}
                value={content}
                set={(value) => put(at, withPart(message, contentKey, value))}
              />
            )}
            {message.tool_calls !== undefined && message.tool_calls !== null && (
              <>
                <AsJson
                  label={`${name}, tool calls`}
                  value={message.tool_calls}
                  set={(value) => put(at, withPart(message, "tool_calls", value))}
                />
                <Button
                  small
                  kind="quiet"
                  aria-label={`Remove tool calls of message ${at + 1}`}
                  onClick={() => put(at, withPart(message, "tool_calls", undefined))}
                >
                  Remove tool calls
                </Button>
              </>
            )}
          </div>
        );
      })}
    </fieldset>
  );
}

const NEW_CALL: Json = [{ type: "function", function: { name: "name", arguments: {} } }];

function Text({
  label,
  value,
  set,
  bare,
}: {
  label: string;
  value: string;
  set: (text: string) => void;
  bare?: boolean;
}) {
  const area = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => fitHeight(area.current), [value]);
  return (
    <label class="data-edit-field">
      <span class={bare ? "visually-hidden" : "data-edit-name"}>{label}</span>
      <textarea
        ref={area}
        class="ui-input data-edit-text"
        dir="auto"
        rows={1}
        value={value}
        onInput={(event) => set(event.currentTarget.value)}
      />
    </label>
  );
}

/** A value as JSON; invalid text stays in the field and changes nothing. */
function AsJson({ label, value, set }: { label: string; value: Json; set: (value: Json) => void }) {
  const [text, setText] = useState(() => JSON.stringify(value, null, 2));
  const [fault, setFault] = useState("");
  const area = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => fitHeight(area.current), [text]);
  const setProblem = (reason: string): void => {
    setFault(reason);
    // Saving would lose the typed text.
    area.current?.setCustomValidity(reason);
  };
  const type = (typed: string): void => {
    setText(typed);
    try {
      set(JSON.parse(typed) as Json);
      setProblem("");
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <label class="data-edit-field">
      <span class="data-edit-name">{label}</span>
      <textarea
        ref={area}
        class="ui-input data-edit-text mono"
        spellcheck={false}
        rows={1}
        aria-invalid={fault !== "" || undefined}
        value={text}
        onInput={(event) => type(event.currentTarget.value)}
      />
      {fault && <span class="data-edit-problem">Not valid JSON: {clean(fault, 200)}</span>}
    </label>
  );
}
