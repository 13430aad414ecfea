import { setQuery } from "../../router";
import { COLUMNS } from "./columns";
import { type Order, orderText } from "./order";

/** On a narrow screen the table has no header to press. */
export function OrderChoice({ order }: { order: Order }) {
  return (
    <select
      class="ui-input jobs-order"
      aria-label="Order"
      value={orderText(order) ?? ""}
      onChange={(event) => setQuery({ sort: event.currentTarget.value })}
    >
      {COLUMNS.flatMap((column) =>
        column.sort.words.map((words, index) => {
          const text = orderText({ column, descending: index === 1 }) ?? "";
          return (
            <option key={text} value={text}>
              {column.header}, {words}
            </option>
          );
        }),
      )}
    </select>
  );
}
