import { setQuery } from "../../router";
import { type Column, type Order, orderText } from "./list";
import { HEADS } from "./table";

const DIRECTIONS: Readonly<Record<Column, readonly [string, string]>> = {
  status: ["queued first", "cancelled first"],
  name: ["A to Z", "Z to A"],
  created: ["oldest first", "newest first"],
  duration: ["shortest first", "longest first"],
  last: ["lowest first", "highest first"],
  best: ["lowest first", "highest first"],
};

/** On a narrow screen the table has no head to press. */
export function OrderChoice({ order }: { order: Order }) {
  return (
    <select
      class="ui-input jobs-order"
      aria-label="Order"
      value={orderText(order) ?? ""}
      onChange={(event) => setQuery({ sort: event.currentTarget.value })}
    >
      {HEADS.flatMap(({ column, label }) =>
        [false, true].map((descending) => (
          <option key={`${column}${descending}`} value={orderText({ column, descending }) ?? ""}>
            {label}, {DIRECTIONS[column][descending ? 1 : 0]}
          </option>
        )),
      )}
    </select>
  );
}
