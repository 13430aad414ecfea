/** The parts of an answer besides text: thoughts, tool calls, which are never run, and JSON. */
import type { Answer, ToolCall } from "../../../chat/model/types";
import type { SplitAnswer } from "../../../chat/thoughts";
import { indentJson } from "../../../lib/indent-json";
import { clean, cleanBlock } from "../../../lib/text";

const LONGEST = 1_000_000;

/** Open while the model thinks; then there to unfold. */
export function Thoughts({ thoughts, ended }: SplitAnswer) {
  if (thoughts === "" && ended) return <p class="chat-note">No thoughts.</p>;
  return (
    <details class="chat-thoughts" open={!ended}>
      <summary>{ended ? "Thoughts" : "Thinking …"}</summary>
      <p>{cleanBlock(thoughts, LONGEST)}</p>
    </details>
  );
}

export function Calls({ calls }: { calls: readonly ToolCall[] }) {
  return (
    <section class="md" style={{ marginTop: "12px" }} aria-label="Calls of tools">
      {calls.map((call, index) => (
        <div key={index} class="md-code" dir="ltr">
          <div class="md-code-head">Calls {clean(call.name, 80)}</div>
          <pre tabIndex={0}>{call.arguments}</pre>
        </div>
      ))}
    </section>
  );
}

/** A JSON answer as indented text. `text` may still grow. */
export function Json({ text, state }: { text: string; state: Answer["state"] }) {
  const complete = state === "streaming" || isJson(text);
  return (
    <div class="md">
      <div class="md-code" dir="ltr">
        <div class="md-code-head">{complete ? "JSON" : "Not whole JSON"}</div>
        <pre tabIndex={0}>
          {indentJson(cleanBlock(text, LONGEST)).map(({ text: part, key }, index) =>
            key ? (
              <span key={index} style={{ color: "var(--ink-2)" }}>
                {part}
              </span>
            ) : (
              part
            ),
          )}
        </pre>
      </div>
    </div>
  );
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
