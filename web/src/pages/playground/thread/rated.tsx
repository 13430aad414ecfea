/** An answer rated good or bad, which becomes a row of the project's preferences. */
import { errorText } from "../../../api/client";
import { setAnswer } from "../../../chat/model/tree";
import type { Answer, KeptRating, Turn } from "../../../chat/model/types";
import { addPreference, removePreference } from "../../../chat/preferences";
import { messagesFor } from "../../../chat/request";
import { changeById, current } from "../../../chat/storage/conversations";
import { targetKey } from "../../../chat/targets";
import { jobById } from "../../../store/jobs";
import { announce, say } from "../../../ui/controls/live";
import { TrainOnPreferences } from "../../job/preferences/train-on";

interface Props {
  turn: Turn;
  column: number;
  answer: Answer;
}

/** Answers whose rating is being stored: a second press does nothing. */
const busy = new Set<string>();

/** Adds a rating; the same rating again removes it, the other one replaces it. */
export async function rate({ turn, column, answer }: Props, good: boolean): Promise<void> {
  const conversation = current.peek();
  const key = `${conversation.id} ${turn.id} ${column}`;
  if (busy.has(key)) return;
  busy.add(key);
  const keep = (rated: KeptRating | null): void => {
    const { rated: _, ...plain } = answer;
    changeById(conversation.id, (known) =>
      setAnswer(known, turn.id, column, rated ? { ...plain, rated } : plain),
    );
  };
  try {
    if (answer.rated) {
      await removePreference(answer.rated.id);
      keep(null);
    }
    if (answer.rated?.good === good) announce("Rating removed");
    else {
      const request = { ...conversation, ...(answer.asked ? { system: answer.asked.system } : {}) };
      const id = await addPreference({
        prompt: messagesFor(request, turn.id, column),
        completion: answer.text,
        label: good,
        models: [targetKey(answer.by)],
        by: "",
      });
      keep({ good, id });
      announce(`Rated as a ${good ? "good" : "bad"} answer`);
    }
  } catch (fault) {
    say(errorText(fault));
  } finally {
    busy.delete(key);
  }
}

/** Where the rating is, and the run that learns from it. */
export function Rated({ answer }: Props) {
  const { by, rated } = answer;
  const job = by.kind === "base" ? undefined : jobById(by.jobId);
  return (
    <section aria-label="Rating" style={{ display: "grid", gap: "4px", marginTop: "8px" }}>
      <p class="hint">A {rated?.good ? "good" : "bad"} answer, in data/ratings.jsonl.</p>
      <TrainOnPreferences job={job} step={by.kind === "checkpoint" ? by.step : null} />
    </section>
  );
}
