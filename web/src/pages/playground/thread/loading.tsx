/** Shows that the model is loading, with the backend's progress. */
import type { Progress } from "../../../chat/deltas";
import { clean } from "../../../lib/text";

export function Loading({ progress: { label, done, total } }: { progress: Progress }) {
  const share = total === null ? null : Math.min(1, done / total);
  const name = clean(label, 120);
  return (
    <div class="chat-loading">
      <p>
        {name}
        {share !== null && <span class="num"> · {Math.floor(share * 100)} %</span>}
      </p>
      <progress class="chat-bar" aria-label={name} {...(share === null ? {} : { value: share, max: 1 })} />
    </div>
  );
}
