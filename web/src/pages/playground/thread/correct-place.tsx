/** Where an answer is corrected; its code is loaded with the first correction. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Answer, Turn } from "../../../chat/model/types";

const code = signal<typeof import("./correct") | null>(null);

interface Props {
  turn: Turn;
  column: number;
  answer: Answer;
  /** Whether it is being edited. */
  editing: boolean;
  onClose: () => void;
}

export function CorrectPlace({ editing, onClose, ...props }: Props) {
  const { corrected } = props.answer;
  const some = editing || corrected !== undefined;
  useEffect(() => {
    if (!some || code.peek()) return;
    void import("./correct").then((module) => {
      code.value = module;
    });
  }, [some]);
  const loaded = code.value;
  if (!some || !loaded) return null;
  if (editing) return <loaded.CorrectDraft {...props} onClose={onClose} />;
  return corrected ? <loaded.Corrected {...props} corrected={corrected} /> : null;
}
