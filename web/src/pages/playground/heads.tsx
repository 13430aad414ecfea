/** The columns' headers; compared columns show the timing of their last answer side by side. */

import { branch, setTarget } from "../../chat/model/tree";
import { stop } from "../../chat/session";
import { changeCurrent, current } from "../../chat/storage/conversations";
import { Head } from "./head";
import { timingText } from "./thread/foot";

export function Heads() {
  const conversation = current.value;
  const { targets, columns } = conversation;
  const last = branch(conversation).at(-1);
  const two = columns.length > 1;
  const close = (column: number) => (): void => {
    stop(conversation.id, column);
    changeCurrent({ ...current.peek(), columns: columns.filter((other) => other !== column) });
  };
  return (
    <div class={two ? "pg-heads pg-heads-two" : "pg-heads"}>
      {columns.map((column, index) => {
        const timing = two ? last?.answers[column]?.timing : undefined;
        return (
          <Head
            key={column}
            place={two ? (index === 0 ? "Left " : "Right ") : ""}
            target={targets[column]}
            timingText={timing ? timingText(timing) : ""}
            onPick={(target) => changeCurrent(setTarget(current.peek(), column, target))}
            {...(two ? { onClose: close(column) } : {})}
          />
        );
      })}
    </div>
  );
}
