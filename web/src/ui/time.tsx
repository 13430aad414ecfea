import { useComputed } from "@preact/signals";
import { now } from "../lib/clock";
import { absolute, relative } from "../lib/format";

/** A relative time that follows the clock; only its text changes, and only when the words do. */
export function RelativeTime({ at }: { at: string | null | undefined }) {
  const words = useComputed(() => relative(at, now.value));
  return (
    <time dateTime={at ?? ""} title={absolute(at)}>
      {at === undefined || at === null ? "–" : <Words key={at} words={words} />}
    </time>
  );
}

function Words({ words }: { words: { readonly value: string } }) {
  return <>{words.value}</>;
}
