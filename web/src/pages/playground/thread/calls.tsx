/** The calls of tools that an answer makes: the model asks for them, and nothing is run. */
import type { ToolCall } from "../../../chat/model/types";
import { clean } from "../../../lib/text";

export function Calls({ calls }: { calls: readonly ToolCall[] }) {
  return (
    <section class="md" style={{ marginTop: "12px" }} aria-label="Calls of tools">
      {calls.map((call, place) => (
        <div key={place} class="md-code" dir="ltr">
          <div class="md-code-head">Calls {clean(call.name, 80)}</div>
          <pre tabIndex={0}>{call.arguments}</pre>
        </div>
      ))}
    </section>
  );
}
