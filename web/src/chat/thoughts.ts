/** An answer's thoughts, apart from its text: between the marks of Qwen and DeepSeek, or of Magistral. */
export interface SplitAnswer {
  thoughts: string;
  answer: string;
  ended: boolean;
}

const STARTED = /^\s*(?:<think>|\[THINK\])/;

/** Splits `text`, which may still grow; null without thoughts. Their start may stand in the prompt. */
export function splitThoughts(text: string): SplitAnswer | null {
  const started = STARTED.test(text);
  const end = /<\/think>|\[\/THINK\]/.exec(text);
  const thoughts = text.slice(0, end?.index).replace(STARTED, "");
  // Marks within an answer are a part of it.
  if (!started && (!end || /<think>|\[THINK\]/.test(thoughts))) return null;
  const answer = end ? text.slice(end.index + end[0].length).trimStart() : "";
  return { thoughts: thoughts.trim(), answer, ended: end !== null };
}
