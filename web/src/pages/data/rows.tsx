/** The list of rows, with one selected; any number of rows, in lists of a hundred thousand. */
import { useEffect, useRef } from "preact/hooks";
import type { DatasetRow, ReviewMark } from "../../contract.gen";
import { number } from "../../lib/format";
import { clean } from "../../lib/text";
import { Button } from "../../ui/controls/button";
import { type VirtualHandle, VirtualRows } from "../../ui/list/virtual-list";
import { lineHeight } from "../../ui/text-size";
import type { Marks } from "./judge/marks";
import { positionOf } from "./matches";
import type { OpenedView } from "./view";

/** A row's height in lines of text; must match the stylesheet. */
const ROW = 1.6;
/** Rows per list: browsers can lay out only some millions of pixels. */
const LIST = 100_000;

interface Props {
  opened: OpenedView;
  chosen: number;
  cut: number;
  choose: (row: number) => void;
  /** The verdicts of rows, during judging. */
  marks: Marks | null;
  /** With a filter, the rows that match. */
  only: readonly number[] | undefined;
}

export function Rows({ opened, chosen, cut, choose, marks, only }: Props) {
  const count = only ? only.length : opened.count;
  const position = only ? Math.max(0, Math.min(positionOf(only, chosen), count - 1)) : chosen - 1;
  const base = Math.floor(position / LIST) * LIST;
  const rowAt = (index: number): number => (only ? only[index]! : index + 1);
  const rows = Math.min(LIST, count - base);
  const handle = useRef<VirtualHandle | null>(null);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const row = box.current?.querySelector(".data-row-on");
    const list = box.current?.querySelector(".ui-virtual");
    if (row && list) {
      const [inner, outer] = [row.getBoundingClientRect(), list.getBoundingClientRect()];
      if (inner.top >= outer.top && inner.bottom <= outer.bottom) return;
    }
    handle.current?.scrollTo(position - base);
  }, [chosen, position, base]);
  return (
    <div class="data-rows" ref={box}>
      <VirtualRows
        class="data-list"
        label="Rows"
        count={Math.max(0, rows)}
        rowHeight={ROW * lineHeight.value}
        handle={handle}
        render={(index) => {
          const row = rowAt(base + index);
          return (
            <Row
              key={row}
              number={row}
              row={opened.row(row)}
              on={row === chosen}
              mark={marks ? (marks.of(row) ?? null) : undefined}
              {...{ cut, choose }}
            />
          );
        }}
      />
      {count > LIST && (
        <p class="data-pages hint num">
          <Button small kind="quiet" disabled={base === 0} onClick={() => choose(rowAt(base - LIST))}>
            Before
          </Button>
          {number(base + 1)}–{number(base + rows)} of {number(count)}
          <Button
            small
            kind="quiet"
            disabled={base + rows >= count}
            onClick={() => choose(rowAt(base + LIST))}
          >
            After
          </Button>
        </p>
      )}
    </div>
  );
}

interface RowProps {
  number: number;
  row: DatasetRow | undefined;
  on: boolean;
  cut: number;
  choose: (row: number) => void;
  /** Its verdict; null without one, undefined outside judging. */
  mark: ReviewMark | null | undefined;
}

/** A sign and a word for each verdict. */
const SIGNS: Readonly<Record<string, readonly [string, string]>> = {
  accepted: ["✓", "accepted"],
  rejected: ["✗", "rejected"],
  flagged: ["⚑", "flagged"],
};

function Row({ number: at, row, on, cut, choose, mark }: RowProps) {
  const sign = SIGNS[mark?.verdict ?? ""] ?? (mark?.made ? ["◇", "made by a program"] : ["", ""]);
  // Whether judgements leave a row out is known again once the judging is done; until then its mark shows the verdict.
  const leftOut = row?.leftOut && mark === undefined;
  const isCut = row !== undefined && row.length > cut;
  return (
    <button
      type="button"
      class={on ? "data-row data-row-on" : "data-row"}
      aria-current={on ? "true" : undefined}
      tabIndex={on ? 0 : -1}
      title={row?.error ? clean(row.error, 400) : clean(row?.excerpt, 400)}
      onClick={() => choose(at)}
    >
      <span class="data-row-number num">{number(at)}</span>
      {mark !== undefined && (
        <span class={`data-row-mark data-row-${mark?.verdict ?? "made"}`} title={sign[1]}>
          <span aria-hidden="true">{sign[0]}</span>
          <span class="visually-hidden">{sign[1]} </span>
        </span>
      )}
      <bdi
        class={`data-row-text${row?.error ? " data-row-bad" : row?.excluded || leftOut ? " data-row-out" : ""}`}
      >
        {row === undefined ? "" : row.error ? "Invalid" : clean(row.excerpt, 160)}
      </bdi>
      {row?.label !== undefined && <bdi class="data-row-label hint">{clean(row.label, 60)}</bdi>}
      <span class={isCut ? "data-row-length data-row-cut num" : "data-row-length num"}>
        {row?.excluded
          ? "excluded"
          : leftOut
            ? "left out"
            : row && !row.error && row.length > 0
              ? number(row.length)
              : "–"}
        {isCut && <span class="visually-hidden"> truncated</span>}
      </span>
    </button>
  );
}
