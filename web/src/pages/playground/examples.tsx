/** A few of a job's held-out rows, to try with a press. */
import { clean } from "../../lib/text";

const SHOWN = 4;

export interface Example {
  text: string;
  choose: () => void;
}

/** Shows examples from all over the list, under a `title`. */
export function Examples({ title, examples }: { title: string; examples: readonly Example[] }) {
  if (examples.length === 0) return null;
  const step = Math.max(1, Math.floor(examples.length / SHOWN));
  return (
    <section class="scored-examples" aria-label={title}>
      <h2 class="scored-title">{title}</h2>
      <ul>
        {examples
          .filter((_, at) => at % step === 0)
          .slice(0, SHOWN)
          .map(({ text, choose }, at) => (
            <li key={at}>
              <button type="button" dir="auto" onClick={choose}>
                {clean(text, 160)}
              </button>
            </li>
          ))}
      </ul>
    </section>
  );
}
