import { useEffect, useState } from "preact/hooks";
import type { SettingsWritten } from "../contract.gen";
import { clean, cleanBlock } from "../lib/text";
import { Button } from "./controls/button";
import { say } from "./controls/live";
import { Dialog } from "./dialog";
import { ErrorNote } from "./empty";
import { Skeleton } from "./skeleton";
import "./diff.css";

const MOST_LINES = 400;
const LONGEST = 500;
const NOTE = 20_000;

/** The removed and added lines of a unified diff, with their context; a mark and a word distinguish them besides the colour. */
export function Diff({ text }: { text: string }) {
  const lines = text.split("\n").filter((line) => line !== "" && !/^(---|\+\+\+) /.test(line));
  if (lines.length === 0) return <p class="dim">arkor.toml says this already.</p>;
  return (
    <pre class="ui-diff" tabIndex={0} aria-label="Changes">
      {lines.slice(0, MOST_LINES).map((line, index) => {
        const [sign, rest] = [line[0], clean(line.slice(1).replaceAll("\t", "  "), LONGEST)];
        if (sign === "@")
          return index === 0 ? null : (
            <span key={index} class="ui-diff-gap">
              …{"\n"}
            </span>
          );
        const Line = sign === "+" ? "ins" : sign === "-" ? "del" : "span";
        return (
          <Line key={index}>
            {sign} {rest}
            {"\n"}
          </Line>
        );
      })}
    </pre>
  );
}

const wordsOf = (fault: unknown): string => (fault instanceof Error ? fault.message : String(fault));

interface WriteProps {
  /** What became of the file, in lines. */
  note?: string | undefined;
  /** Returns the change as it would be written, or (with false) writes it; called with the first props. */
  post: (preview: boolean) => Promise<SettingsWritten>;
  /** Called after writing. */
  written: () => unknown;
  /** Undoes the write that led to a revision. */
  undo: (revision: string) => Promise<unknown>;
  onClose: () => void;
}

/** Shows how arkor.toml will change, before it is written. */
export function WriteDialog({ note, post, written, undo, onClose }: WriteProps) {
  const [diff, setDiff] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  // The written change is the one that the dialog was opened with, even if the page reads a newer file meanwhile.
  const [send] = useState(() => post);
  useEffect(() => {
    send(true).then(
      (answer) => setDiff(answer.diff),
      (fault: unknown) => setError(wordsOf(fault)),
    );
  }, []);
  const write = async (): Promise<void> => {
    setBusy(true);
    try {
      const { revision } = await send(false);
      await written();
      const run = (): void =>
        void undo(revision).then(
          () => say("arkor.toml is as it was before"),
          (fault: unknown) => say(wordsOf(fault)),
        );
      say("Written to arkor.toml", { label: "Undo", run });
      onClose();
    } catch (fault) {
      setError(wordsOf(fault));
      setBusy(false);
    }
  };
  return (
    <Dialog title="Write to arkor.toml" wide onClose={onClose}>
      {note && (
        <p class="ui-error-text" tabIndex={0}>
          {cleanBlock(note, NOTE)}
        </p>
      )}
      {error !== null ? (
        <ErrorNote error={error} />
      ) : diff === null ? (
        <Skeleton lines={5} height={18} />
      ) : (
        <Diff text={diff} />
      )}
      <div class="ui-dialog-actions">
        <Button data-focus onClick={onClose}>
          Back
        </Button>
        {error === null && (
          <Button kind="primary" busy={busy} disabled={diff === null} onClick={() => void write()}>
            Write
          </Button>
        )}
      </div>
    </Dialog>
  );
}
