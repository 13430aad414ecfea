/** An answer's question as a command for other programs; loaded when somebody wants one. */

import type { Answer, Turn } from "../../../chat/model/types";
import { chatRequest, messagesFor } from "../../../chat/request";
import { asCurl, asPython } from "../../../chat/snippets";
import { current } from "../../../chat/storage/conversations";
import { copyText } from "../../../ui/controls/copy";
import { say } from "../../../ui/controls/live";

export async function copyAs(
  form: "asCurl" | "asPython",
  turn: Turn,
  column: number,
  answer: Answer,
): Promise<void> {
  const asked = { ...current.peek(), ...answer.asked };
  const body = chatRequest(messagesFor(asked, turn.id, column), answer.by, asked.params, answer.asked?.more);
  const text = (form === "asCurl" ? asCurl : asPython)(body, location.origin);
  say((await copyText(text)) ? "Copied" : "The browser did not allow copying");
}
