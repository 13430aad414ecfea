import { setQuery } from "../../router";
import { Select } from "../../ui/controls/switch";
import { COLUMNS } from "./columns";
import { type Order, orderText } from "./order";

/** On a narrow screen the table has no header to press. */
export function OrderChoice({ order }: { order: Order }) {
  return (
    <Select
      class="jobs-order"
      aria-label="Order"
      value={orderText(order) ?? ""}
      options={COLUMNS.flatMap((column) =>
        column.sort.words.map((words, index): [string, string] => [
          orderText({ column, descending: index === 1 }) ?? "",
          `${column.header}, ${words}`,
        ]),
      )}
      onChange={(sort) => setQuery({ sort })}
    />
  );
}
