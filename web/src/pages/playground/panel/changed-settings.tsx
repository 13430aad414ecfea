/** Lists the changed settings next to the composer while the panel is closed: answers depend on them. */
import { DEFAULT_PARAMS } from "../../../chat/model/presets";
import type { Params } from "../../../chat/model/types";
import { sentOf, wordsOf } from "../../../chat/more";
import { current } from "../../../chat/storage/conversations";
import { number } from "../../../lib/format";
import { clean } from "../../../lib/text";
import { features } from "../../../store/features";
import { NAMES } from "./params";

const PROMPT = 60;

export function Changed({ onOpen }: { onOpen: () => void }) {
  const { params, system, more } = current.value;
  const names = (Object.keys(NAMES) as (keyof Params)[]).filter(
    (name) => params[name] !== DEFAULT_PARAMS[name],
  );
  const parts = names.map((name) => `${NAMES[name]} ${number(params[name])}`);
  parts.push(...wordsOf(sentOf(more, features.value)));
  if (system !== "") parts.push(`System prompt “${clean(system, PROMPT)}”`);
  if (parts.length === 0) return null;
  const text = parts.join(" · ");
  return (
    <button
      type="button"
      class="pg-changed"
      aria-label={`Changed settings: ${text}. Show`}
      title="Show the settings (s)"
      onClick={onOpen}
    >
      <span class="ellipsis" dir="auto">
        {text}
      </span>
    </button>
  );
}
