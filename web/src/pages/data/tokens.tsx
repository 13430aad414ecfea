/** One row token by token: learned ones in ink, the rest in grey, truncated ones struck out. */
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, errorText, isAbort } from "../../api/client";
import type { DatasetTokens } from "../../contract.gen";
import { number, plural } from "../../lib/format";
import { clean, cleanBlock } from "../../lib/text";
import { Button } from "../../ui/controls/button";
import { ErrorNote } from "../../ui/empty";
import { Skeleton } from "../../ui/skeleton";
import { pieces, quoted } from "./token-text";
import type { OpenedView } from "./view";

interface Props {
  opened: OpenedView;
  chosen: number;
  cut: number;
  exclude: ((rows: readonly number[], excluded: boolean) => void) | null;
  /** Further actions for the row. */
  tools?: ComponentChildren;
}

export function Row({ opened, chosen, cut, exclude, tools }: Props) {
  const [row, setRow] = useState<DatasetTokens | null>(null);
  const [error, setError] = useState<string | null>(null);
  // A row that was requested before the tokenizer was ready has no tokens yet.
  const { id, state } = opened.view.value ?? {};
  const opening = state === "opening";
  useEffect(() => {
    if (id === undefined) return undefined;
    const abort = new AbortController();
    // It may have been repaired.
    setRow((shown) => (shown?.error ? null : shown));
    opened.tokens(chosen, abort.signal).then(
      (loaded) => {
        setRow(loaded);
        setError(null);
      },
      (failure: unknown) => {
        if (!isAbort(failure) && !(failure instanceof ApiError && failure.status === 0))
          setError(errorText(failure));
      },
    );
    return () => abort.abort();
  }, [opened, id, chosen, opening]);
  if (error) return <ErrorNote title={`Row ${number(chosen)} couldn't be shown`} error={error} />;
  if (!row || (row.shown === 0 && !row.error && opening)) return <Skeleton lines={6} height={18} />;
  return (
    <>
      <header class="data-row-head">
        <h2>
          Row {number(row.row)} <span class="hint data-where">{clean(row.where, 200)}</span>
        </h2>
        {!row.error && (
          <p class="dim num">
            {plural(total(row.examples), "token")} ·{" "}
            {row.label === undefined ? (
              `${number(row.learned)} learned · ${rolesOf(row.roles)}`
            ) : (
              <>
                label <strong class="data-label">{clean(row.label, 200)}</strong>
              </>
            )}
          </p>
        )}
        <div class="data-row-tools">
          {tools}
          {row.exclusion && exclude && (
            <Exclusion excluded={row.exclusion.excluded} set={(to) => exclude([row.row], to)} />
          )}
        </div>
        <Weights weights={weightsOf(row)} />
        {row.examples.length > 1 && (
          <p class="hint">
            Learned as {number(row.examples.length)} examples: the chat template rewrites earlier turns, so an
            answer that it changes later has an example of its own.
          </p>
        )}
      </header>
      {row.error ? <Unread row={row} /> : <Tokens key={row.row} row={row} cut={cut} />}
    </>
  );
}

function Weights({ weights }: { weights: readonly number[] }) {
  if (weights.length < 2) return null;
  return (
    <p class="hint">
      <span class="data-learned data-lighter">Underlined</span> tokens count {number(weights[0])} in the loss,
      the others {number(weights[1])}.
    </p>
  );
}

function Exclusion({ excluded, set }: { excluded: boolean; set: (excluded: boolean) => void }) {
  return (
    <span class="dim">
      {excluded && "Excluded from training "}
      <Button small kind="quiet" onClick={() => set(!excluded)}>
        {excluded ? "Include" : "Exclude"}
      </Button>
    </span>
  );
}

function Unread({ row }: { row: DatasetTokens }) {
  return (
    <>
      <ErrorNote title="Couldn't parse this row" error={row.error ?? ""} />
      {row.raw && (
        <pre class="data-raw" tabIndex={0}>
          {cleanBlock(row.raw, 2000)}
        </pre>
      )}
    </>
  );
}

/** `assistant 60 · template 31 · user 10` */
export function rolesOf(roles: Readonly<Record<string, number>>): string {
  return Object.entries(roles)
    .sort(([, one], [, other]) => other - one)
    .map(([role, count]) => `${clean(role, 20)} ${number(count)}`)
    .join(" · ");
}

const total = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);

interface Token {
  /** In the loss; 0 if it is not learned. */
  weight: number;
  role: string;
  special: boolean;
  /** Its index in its example, from 0. */
  at: number;
}

export function tokensOf(row: Pick<DatasetTokens, "examples" | "runs" | "special">): Token[] {
  const special = new Set(row.special);
  const tokens: Token[] = [];
  let example = 0;
  let start = 0;
  for (const { count, weight, role } of row.runs)
    for (let remaining = count; remaining > 0; remaining -= 1) {
      const index = tokens.length;
      if (index - start >= (row.examples[example] ?? Infinity)) {
        start += row.examples[example] ?? 0;
        example += 1;
      }
      tokens.push({ weight, role, special: special.has(index), at: index - start });
    }
  return tokens;
}

/** The different weights of a row's learned tokens, from the lowest. */
export function weightsOf(row: Pick<DatasetTokens, "runs">): number[] {
  return [...new Set(row.runs.map(({ weight }) => weight))].filter(Boolean).sort((one, other) => one - other);
}

function classOf({ weight, special, at }: Token, cut: number, full: number, read: boolean): string {
  return [
    "data-token",
    (weight || read) && "data-learned",
    weight && weight < full && "data-lighter",
    special && "data-special",
    at >= cut && "data-cut",
  ]
    .filter(Boolean)
    .join(" ");
}

/** Tokens per key press. */
const MOVES: Readonly<Record<string, number>> = {
  ArrowRight: 1,
  ArrowLeft: -1,
  Home: -Infinity,
  End: Infinity,
};

export function Tokens({ row, cut, name }: { row: DatasetTokens; cut: number; name?: string }) {
  const box = useRef<HTMLDivElement>(null);
  const tokens = useMemo(() => tokensOf(row), [row]);
  const [at, setAt] = useState<number | null>(null);
  const [byKey, setByKey] = useState(false);
  const weights = useMemo(() => weightsOf(row), [row]);
  // The whole text is what the label is learned from.
  const read = row.label !== undefined;
  const drawn = useMemo(
    () =>
      tokens.map((token, tokenIndex) => [
        tokenIndex > 0 && token.at === 0 && <hr key={`before-${tokenIndex}`} class="data-next" />,
        <span key={tokenIndex} data-place={tokenIndex} class={classOf(token, cut, weights.at(-1) ?? 0, read)}>
          {pieces(row.texts[tokenIndex] ?? "").map(({ text, drawn }, index) =>
            drawn ? (
              <i key={index} class={text.startsWith("U+") ? "data-drawn data-named" : "data-drawn"}>
                {text}
              </i>
            ) : (
              text
            ),
          )}
        </span>,
      ]),
    [tokens, cut],
  );
  const words = (index: number): string => {
    const token = tokens[index];
    if (!token) return "";
    const learned = weights.length > 1 ? `learned with weight ${number(token.weight)}` : "learned";
    const state = token.at >= cut ? "truncated" : token.weight ? learned : read ? "read" : "ignored";
    return `id ${row.ids[index]} · token ${number(token.at + 1)} · ${state} · ${clean(token.role, 20)}`;
  };
  const placeOf = (target: EventTarget | null): number | null => {
    const token = target instanceof Element ? target.closest<HTMLElement>("[data-place]") : null;
    return token ? Number(token.dataset.place) : null;
  };
  const point = (event: PointerEvent): void => {
    setByKey(false);
    setAt(placeOf(event.target));
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const move = Object.hasOwn(MOVES, event.key) ? MOVES[event.key] : undefined;
    if (move === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    setByKey(true);
    setAt((old) => Math.min(tokens.length - 1, Math.max(0, (old ?? 0) + move)));
  };
  useEffect(() => {
    if (byKey) box.current?.querySelector(`[data-place="${at}"]`)?.scrollIntoView({ block: "nearest" });
  }, [at, byKey]);
  return (
    <div class="data-tokens-box">
      <div
        ref={box}
        class="data-tokens"
        role="group"
        aria-label={`${name ?? `Tokens of row ${number(row.row)}`}; arrow keys go from one to the next`}
        tabIndex={0}
        // Not "over", which also fires when tokens move under a resting pointer.
        onPointerMove={point}
        onPointerDown={point}
        onPointerLeave={() => {
          if (!byKey) setAt(null);
        }}
        onFocus={() => setAt((old) => old ?? 0)}
        onBlur={() => setAt(null)}
        onKeyDown={onKeyDown}
      >
        {drawn}
        {total(row.examples) > row.shown && (
          <p class="data-rest hint">
            {plural(total(row.examples) - row.shown, "more token is", "more tokens are")} not shown.
          </p>
        )}
        {at !== null && <Tip box={box} place={at} text={row.texts[at] ?? ""} words={words(at)} />}
      </div>
      <p class="visually-hidden" role="status">
        {byKey && at !== null ? `${quoted(row.texts[at] ?? "")}, ${words(at)}` : ""}
      </p>
    </div>
  );
}

const TIP = 280;

function Tip({
  box,
  place,
  text,
  words,
}: {
  box: { current: HTMLDivElement | null };
  place: number;
  text: string;
  words: string;
}) {
  const token = box.current?.querySelector<HTMLElement>(`[data-place="${place}"]`);
  if (!box.current || !token) return null;
  const left = Math.max(0, Math.min(token.offsetLeft, box.current.clientWidth - TIP));
  return (
    <>
      <span
        class="data-at"
        aria-hidden="true"
        style={{
          left: `${token.offsetLeft}px`,
          top: `${token.offsetTop + token.offsetHeight - 2}px`,
          width: `${token.offsetWidth}px`,
        }}
      />
      <div
        class="data-tip num"
        aria-hidden="true"
        style={{ left: `${left}px`, top: `${token.offsetTop + token.offsetHeight + 4}px` }}
      >
        <span class="mono">{quoted(text)}</span> {words}
      </div>
    </>
  );
}
