/** A complete answer for later display, generated greedily so that it is reproducible. */
import { request } from "../api/client";
import type { ChatMessage } from "../contract.gen";
import type { Params, Target } from "./model/types";
import { chatRequest } from "./request";
import { readAnswer } from "./stream";

const GREEDY: Params = { temperature: 0, topP: 1, maxTokens: 512 };

/** The target's answer. Throws `ApiError` for a refusal, and an `Error` for an interrupted or aborted answer. */
export async function askWhole(
  messages: readonly ChatMessage[],
  target: Target,
  signal: AbortSignal,
): Promise<string> {
  let text = "";
  const sink = {
    text: (piece: string): void => {
      text += piece;
    },
    progress: (): void => undefined,
  };
  const body = chatRequest([...messages], target, GREEDY);
  const response = await request("/inference/chat", { method: "POST", body, signal });
  const { state, error } = await readAnswer(response, performance.now(), sink);
  if (state === "done" || state === "full") return text;
  throw new Error(error ?? "The answer was stopped.");
}
