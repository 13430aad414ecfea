/** Placeholder for correcting an answer; its code is loaded with the first correction. */
import type { Answer, Turn } from "../../../chat/model/types";
import { late } from "../../../lib/late";

const useCorrect = late(() => import("./correct"));
const useRated = late(() => import("./rated"));

interface Props {
  turn: Turn;
  column: number;
  answer: Answer;
  /** Whether it is being edited. */
  editing: boolean;
  onClose: () => void;
}

/** The result of a rating. */
export function LazyRated(props: Pick<Props, "turn" | "column" | "answer">) {
  const code = useRated(props.answer.rated !== undefined);
  return code && <code.Rated {...props} />;
}

export function LazyCorrect({ editing, onClose, ...props }: Props) {
  const { corrected } = props.answer;
  const some = editing || corrected !== undefined;
  const code = useCorrect(some);
  if (!code) return null;
  if (editing) return <code.CorrectDraft {...props} onClose={onClose} />;
  return corrected ? <code.Corrected {...props} corrected={corrected} /> : null;
}
