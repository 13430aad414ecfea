/** A row as editable fields, with its tokens beside it while the user types. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { ApiError, api, errorText, isAbort, useAttempt } from "../../../api/client";
import type { DatasetTokens, EditableRow, SettingsWritten, Trainer } from "../../../contract.gen";
import { number } from "../../../lib/format";
import { objectIn } from "../../../lib/json";
import { clean } from "../../../lib/text";
import { composing } from "../../../lib/textarea";
import { manifest, reloadManifest } from "../../../store/manifest";
import { Button } from "../../../ui/controls/button";
import { announce, say } from "../../../ui/controls/live";
import { submits } from "../../../ui/controls/switch";
import { ErrorNote } from "../../../ui/empty";
import { Skeleton } from "../../../ui/skeleton";
import { Tokens } from "../tokens";
import type { OpenedView } from "../view";
import { Fields } from "./fields";
import { type Change, write } from "./history";
import { emptied, type MessagesField, type Fields as Record_, split } from "./record";
import "./edit.css";

export { FixDialog } from "./fix-dialog";
export { mergeWithNext } from "./merge";

const TYPED_MS = 250;

export type Mode = "edit" | "add";

interface Props {
  opened: OpenedView;
  trainer: Trainer;
  chosen: number;
  cut: number;
  mode: Mode;
  /** Called after a change was written, with the row to show. */
  written: (row: number) => void;
  close: () => void;
}

type Draft = { record: Record_ } | { text: string };

/** What was typed and not saved, by the row's content: kept while another row is shown. */
const drafts = new Map<string, Draft>();
const MOST_DRAFTS = 100;

export function EditRow({ opened, trainer, chosen, cut, mode, written, close }: Props) {
  const [row, setRow] = useState<EditableRow | null>(null);
  const [draft, setDraft] = useState<Draft | null>(null);
  const { busy, error, setError, attempt } = useAttempt();
  const [loads, setLoads] = useState(0);
  const box = useRef<HTMLFormElement>(null);
  useEffect(() => {
    const abort = new AbortController();
    setError(null);
    const query = new URLSearchParams({ trainer: trainer.name, row: String(chosen) });
    api<EditableRow>(`/data/row?${query}`, { signal: abort.signal }).then(
      (loaded) => {
        setRow(loaded);
        setDraft(drafts.get(keyOf(loaded, mode)) ?? fresh(loaded, mode));
      },
      (failure: unknown) => {
        if (!isAbort(failure)) setError(errorText(failure));
      },
    );
    return () => abort.abort();
  }, [trainer.name, chosen, mode, loads]);
  const ready = row !== null && draft !== null;
  // Not a passive effect: it would take the focus from a field that is already being typed in.
  useLayoutEffect(() => {
    if (ready) box.current?.querySelector<HTMLElement>("textarea, select, input")?.focus();
  }, [ready, chosen]);

  const original = useMemo(() => (row ? JSON.stringify(fresh(row, "edit")) : ""), [row]);
  const same = mode === "edit" && JSON.stringify(draft) === original;
  const untouched =
    row !== null && mode === "add" && JSON.stringify(draft) === JSON.stringify(fresh(row, mode));
  const change = (next: Draft): void => {
    setDraft(next);
    if (!row) return;
    drafts.delete(keyOf(row, mode));
    drafts.set(keyOf(row, mode), next);
    for (const oldest of drafts.keys()) {
      if (drafts.size <= MOST_DRAFTS) break;
      drafts.delete(oldest);
    }
  };
  const leave = (): void => {
    if (row) drafts.delete(keyOf(row, mode));
    close();
  };
  const save = async (): Promise<void> => {
    if (!row || !draft || same || busy || !box.current?.reportValidity()) return;
    const address = { source: row.source, entry: row.entry };
    const changed: Change =
      mode === "add" ? { ...address, ...draft, insert: true } : { ...address, ...draft };
    const at = mode === "add" ? chosen + 1 : chosen;
    const label = `${mode === "add" ? "Added" : "Edited"} row ${number(at)}`;
    await attempt(async () => {
      await write(trainer.name, [changed], label, at);
      drafts.delete(keyOf(row, mode));
      announce(`Saved to ${clean(row.file, 200)}`);
      written(at);
    });
  };
  const splitAt = async (record: Record_, field: MessagesField, at: number): Promise<void> => {
    if (!row || busy || !box.current?.reportValidity()) return;
    const [first, rest] = split(record, field, at);
    const label = `Split row ${number(chosen)}`;
    await attempt(async () => {
      const { source, entry } = row;
      await write(trainer.name, [{ source, entry, record: first, after: [rest] }], label, chosen);
      drafts.delete(keyOf(row, mode));
      announce(label);
      written(chosen);
    });
  };
  const unpack = async (): Promise<void> => {
    if (!row) return;
    await attempt(async () => {
      const body = { trainer: trainer.name, revision: manifest.peek()?.revision, source: row.source };
      await api<SettingsWritten>("/data/unpack", { method: "POST", body });
      await reloadManifest();
      say("Unpacked: arkor.toml trains on the copy now");
      setLoads(loads + 1);
    });
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (composing(event)) return;
    if (event.key === "Escape") leave();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void save();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  if (!row || !draft)
    return error !== null ? (
      <ErrorNote title={`Row ${number(chosen)} can't be edited`} error={error}>
        <Button small onClick={close}>
          Close
        </Button>
      </ErrorNote>
    ) : (
      <Skeleton lines={6} height={18} />
    );
  const title = mode === "add" ? `New row after row ${number(chosen)}` : `Edit row ${number(chosen)}`;
  return (
    <form ref={box} class="data-edit" aria-label={title} onSubmit={submits(save)} onKeyDown={onKeyDown}>
      <header class="data-row-head">
        <h2>
          {title} <span class="hint data-where">{clean(row.file, 200)}</span>
        </h2>
        <span class="data-edit-actions">
          <Button small onClick={leave}>
            {same ? "Close" : "Discard"}
          </Button>
          {row.entry !== "" && (
            <Button small kind="primary" busy={busy} disabled={same} onClick={() => void save()}>
              Save
            </Button>
          )}
        </span>
      </header>
      {row.problem !== undefined && row.entry !== "" && (
        <p class="data-edit-problem">{clean(row.problem, 500)}</p>
      )}
      {error !== null && (
        <ErrorNote title="Nothing was saved" error={error}>
          <Button
            small
            onClick={() => {
              drafts.delete(keyOf(row, mode));
              setLoads(loads + 1);
            }}
          >
            Show the row as it is now
          </Button>
        </ErrorNote>
      )}
      {row.packed !== undefined ? (
        <div class="data-edit-packed">
          <p>
            {clean(row.file, 200)} is packed ({clean(row.packed, 20)}), so its rows can't be edited where they
            are. A copy in <code>data/</code> can: arkor.toml will train on it, and the packed file stays.
          </p>
          <Button kind="primary" busy={busy} onClick={() => void unpack()}>
            Unpack into a copy
          </Button>
        </div>
      ) : row.entry === "" ? (
        <p class="data-edit-problem">{clean(row.problem, 500)}</p>
      ) : (
        <div class="data-edit-both">
          <div class="data-edit-fields">
            {"record" in draft ? (
              <Fields
                record={draft.record}
                columns={row.columns}
                change={(record) => change({ record })}
                split={mode === "edit" ? (field, at) => void splitAt(draft.record, field, at) : null}
              />
            ) : (
              <textarea
                class="ui-input data-edit-text mono"
                aria-label="The row's text in the file"
                spellcheck={false}
                rows={8}
                value={draft.text}
                onInput={(event) => change({ text: event.currentTarget.value })}
              />
            )}
            <p class="hint">Ctrl Enter saves, Escape discards.</p>
          </div>
          <Live {...{ opened, draft, cut, untouched }} source={row.source} />
        </div>
      )}
    </form>
  );
}

const keyOf = ({ source, entry, file }: EditableRow, mode: Mode): string =>
  `${mode} ${file} ${source} ${entry}`;

function fresh({ record, text, columns }: EditableRow, mode: Mode): Draft {
  if (record === null) return { text: text ?? "" };
  return { record: mode === "add" ? emptied(record as Record_, columns) : (record as Record_) };
}

/** The tokens of the typed text, a moment later. */
function Live({
  opened,
  source,
  draft,
  cut,
  untouched,
}: {
  opened: OpenedView;
  source: number;
  draft: Draft;
  cut: number;
  /** Nothing was typed into a new row yet: it lacks everything. */
  untouched: boolean;
}) {
  const [row, setRow] = useState<DatasetTokens | null>(null);
  const [note, setNote] = useState("");
  const record = "record" in draft ? draft.record : (objectIn(draft.text) as Record_ | null);
  const wanted = JSON.stringify(record);
  useEffect(() => {
    if (record === null) return undefined;
    const abort = new AbortController();
    const timer = setTimeout(
      () => {
        opened.render(source, record, abort.signal).then(
          (tokens) => {
            setRow(tokens);
            setNote("");
          },
          (failure: unknown) => {
            if (isAbort(failure)) return;
            const lacking = failure instanceof ApiError && failure.status === 404;
            setNote(lacking ? "This backend shows the tokens once the row is saved." : errorText(failure));
          },
        );
      },
      row ? TYPED_MS : 0,
    );
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [opened, source, wanted]);
  return (
    <section class="data-edit-live" aria-label="Tokens of the edited row">
      <p class="dim num" role="status">
        {note || (record === null ? "Not valid JSON yet" : row && !row.error ? tokenWords(row, cut) : "")}
      </p>
      {row?.error ? (
        !untouched && <p class="data-edit-problem">{clean(row.error, 500)}</p>
      ) : row && row.shown > 0 ? (
        <Tokens key="live" row={row} cut={cut} name="Tokens of the edited row" />
      ) : (
        !note && <Skeleton lines={4} height={18} />
      )}
    </section>
  );
}

function tokenWords({ length, learned }: DatasetTokens, cut: number): string {
  const words = `${number(length)} ${length === 1 ? "token" : "tokens"} · ${number(learned)} learned`;
  return length > cut ? `${words} · ${number(length - cut)} truncated` : words;
}
