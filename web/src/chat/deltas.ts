/**
 * Reads a frame of a chat stream. Backends differ: OpenAI chunks, a JSON string, `content` or `text` at the top, or
 * bare text. All forms are read here, so that no other code has to know them.
 */

import { CHAT_DONE, CHAT_ERROR, CHAT_PROGRESS, END, PING } from "../contract.gen";
import { isObject, type JsonObject } from "../lib/json";
import type { ToolCall } from "./model/types";

export interface Progress {
  label: string;
  done: number;
  /** null if the backend does not know the total. */
  total: number | null;
}

/** What a frame adds; absent members mean "nothing of that kind". */
export interface Delta {
  text?: string;
  progress?: Progress;
  error?: string;
  /** OpenAI's `finish_reason`: `stop`, `length`, … */
  finish?: string;
  /** Tokens of the complete answer, as counted by the backend. */
  tokens?: number;
  calls?: ToolCall[];
  /** The engine, such as `llama.cpp, Q4_1`. */
  engine?: string;
  end?: true;
}

const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isFinite(value) && value >= 0;

/** The text of an error, given as a string, as OpenAI's `{message}`, or in any other form. */
function errorText(error: unknown): string {
  if (typeof error === "string" && error !== "") return error;
  if (isObject(error) && typeof error.message === "string") return error.message;
  return `The backend reported an error: ${JSON.stringify(error) ?? "no text"}`;
}

/** Content is a string, or OpenAI's list of parts, of which only the text is shown. */
function contentText(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((part) => (isObject(part) && typeof part.text === "string" ? part.text : "")).join("");
}

/** Complete tool calls only: no known backend sends them in pieces. */
function callsOf(value: unknown): ToolCall[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((toolCall) => {
    const call = isObject(toolCall) && isObject(toolCall.function) ? toolCall.function : {};
    const { name, arguments: callArguments } = call;
    return typeof name === "string"
      ? [{ name, arguments: typeof callArguments === "string" ? callArguments : "" }]
      : [];
  });
}

function engineOf(value: unknown): string {
  if (!isObject(value)) return "";
  return [value.engine, value.precision, value.why]
    .filter((part) => part && typeof part === "string")
    .join(", ");
}

function readProgress(body: unknown): Delta {
  if (!isObject(body)) return {};
  return {
    progress: {
      label: typeof body.label === "string" ? body.label : "Loading the model",
      done: isCount(body.done) ? body.done : 0,
      total: isCount(body.total) && body.total > 0 ? body.total : null,
    },
  };
}

function readObject(body: JsonObject): Delta {
  if (body.error !== undefined && body.error !== null) return { error: errorText(body.error) };
  const delta: Delta = {};
  const choice: unknown = Array.isArray(body.choices) ? body.choices[0] : undefined;
  let text = "";
  if (isObject(choice)) {
    const message = isObject(choice.delta)
      ? choice.delta
      : isObject(choice.message)
        ? choice.message
        : choice;
    text = contentText(message.content) || contentText(message.text);
    const calls = callsOf(message.tool_calls);
    if (calls.length > 0) delta.calls = calls;
    if (typeof choice.finish_reason === "string") delta.finish = choice.finish_reason;
  } else {
    text = contentText(body.content) || contentText(body.text);
  }
  if (text !== "") delta.text = text;
  if (isObject(body.usage) && isCount(body.usage.completion_tokens))
    delta.tokens = body.usage.completion_tokens;
  const engine = engineOf(body.answeredBy);
  if (engine !== "") delta.engine = engine;
  return delta;
}

/** Parses one SSE frame; an empty `event` is the standard's `message`. */
export function readDelta(event: string, data: string): Delta {
  if (event === PING) return {};
  if (event === END || data.trim() === CHAT_DONE) return { end: true };
  let body: unknown;
  try {
    body = JSON.parse(data);
  } catch {
    if (event === CHAT_PROGRESS) return {};
    if (event === CHAT_ERROR) return { error: data };
    return data === "" ? {} : { text: data };
  }
  if (event === CHAT_PROGRESS) return readProgress(body);
  if (event === CHAT_ERROR)
    return { error: errorText(isObject(body) && body.error !== undefined ? body.error : body) };
  if (isObject(body)) return readObject(body);
  if (body === null) return {};
  // A backend that streams bare text may send a chunk such as `42` or `[1]`, which happens to be JSON.
  return { text: typeof body === "string" ? body : data };
}
