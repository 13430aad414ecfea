/** An answer's thoughts, apart from its text: between the marks of Qwen and DeepSeek, of Magistral, or of gpt-oss. */
export interface SplitAnswer {
  thoughts: string;
  answer: string;
  ended: boolean;
}

const STARTED = /^\s*(?:<think>|\[THINK\]|<\|channel\|>analysis<\|message\|>)/;
const ENDED = /<\/think>|\[\/THINK\]|<\|end\|>(?:<\|start\|>assistant<\|channel\|>final<\|message\|>)?/;

/** Splits `text`, which may still grow; null without thoughts. Their start may stand in the prompt. */
export function splitThoughts(text: string): SplitAnswer | null {
  const started = STARTED.test(text);
  const end = ENDED.exec(text);
  const thoughts = text.slice(0, end?.index).replace(STARTED, "");
  // Marks within an answer are a part of it.
  if (!started && (!end || /<think>|\[THINK\]/.test(thoughts))) return null;
  const answer = end ? text.slice(end.index + end[0].length).trimStart() : "";
  return { thoughts: thoughts.trim(), answer, ended: end !== null };
}
