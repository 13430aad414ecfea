/** Whether one adapter is better than another on the same held-out rows: each beside the first of them. */
import { useEffect, useState } from "preact/hooks";
import { api, errorText } from "../../api/client";
import type { EvaluationComparison } from "../../contract.gen";
import { isObject } from "../../lib/json";
import { clean } from "../../lib/text";
import { features } from "../../store/features";
import type { Compared } from "./tables";

interface Said {
  id: string;
  text: string;
  /** Why the two cannot be compared, and no verdict. */
  refused: boolean;
}

export function Paired({ compared }: { compared: readonly Compared[] }) {
  const judged = compared.filter(({ job }) => isObject(job?.evaluation));
  if (judged.length < 2 || !features.value.has("evaluation")) return null;
  return <Sentences judged={judged} />;
}

function Sentences({ judged }: { judged: readonly Compared[] }) {
  const [said, setSaid] = useState<readonly Said[]>([]);
  const [first, ...others] = judged;
  // Measured again they may differ.
  const version = judged.map(({ id, job }) => `${id} ${job?.evaluation?.seconds}`).join();
  useEffect(() => {
    const stop = new AbortController();
    const ask = async ({ id }: Compared): Promise<Said> => {
      const path = `/jobs/${encodeURIComponent(id)}/evaluation?against=${encodeURIComponent(first!.id)}`;
      try {
        const { comparison } = await api<Partial<EvaluationComparison>>(path, { signal: stop.signal });
        return { id, text: clean(comparison?.sentence, 600), refused: false };
      } catch (fault) {
        return { id, text: errorText(fault), refused: true };
      }
    };
    setSaid([]);
    void Promise.all(others.map(ask)).then((all) => {
      if (!stop.signal.aborted) setSaid(all);
    });
    return () => stop.abort();
  }, [version]);
  return (
    <section aria-label="Paired differences" class="compare-paired">
      <h2>Adapter against adapter</h2>
      <dl>
        {others.map(({ id, name }) => {
          const told = said.find((each) => each.id === id);
          return (
            <div key={id}>
              <dt>
                <bdi>{name}</bdi>
              </dt>
              <dd class={told?.refused ? "dim" : ""}>{told ? told.text : "…"}</dd>
            </div>
          );
        })}
      </dl>
    </section>
  );
}
