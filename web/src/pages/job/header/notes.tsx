/** A job's name, tags and notes, each edited in place. */
import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useAttempt } from "../../../api/client";
import type { Job, JobChanges } from "../../../contract.gen";
import { plural } from "../../../lib/format";
import { clean, cleanBlock } from "../../../lib/text";
import { composing, fitHeight } from "../../../lib/textarea";
import { features } from "../../../store/features";
import { editJob } from "../../../store/jobs";
import { Button } from "../../../ui/controls/button";
import { submits } from "../../../ui/controls/switch";

export type Part = "name" | "tags" | "notes";

/** The part being edited. */
export const editing = signal<Part | null>(null);

export const canEdit = (): boolean => features.value.has("edit");

/** The contract's limits: a longer text is reported, and not lost. */
const LIMITS = { name: 200, notes: 10_000, tag: 50, tags: 50 };
const SHOWN_TAGS = 20;
/** Notes that were left before they were saved, by job: the job's page shows them again. */
const drafts = new Map<string, string>();

export const hasDraft = (id: string): boolean => drafts.has(id);

interface EditProps {
  id: string;
  label: string;
  value: string;
  long?: boolean;
  hint?: string;
  /** The error in a text, or null. */
  trouble: (text: string) => string | null;
  changes: (text: string) => JobChanges;
}

function Edit({ id, label, value, long, hint, trouble, changes }: EditProps) {
  const [text, setText] = useState(long ? (drafts.get(id) ?? value) : value);
  const { busy, error, attempt } = useAttempt();
  const area = useRef<HTMLTextAreaElement>(null);
  const line = useRef<HTMLInputElement>(null);
  const wrong = trouble(text);
  useLayoutEffect(() => {
    area.current?.focus();
    line.current?.select();
  }, []);
  useLayoutEffect(() => fitHeight(area.current), [text]);
  const close = (): void => {
    drafts.delete(id);
    editing.value = null;
  };
  const save = async (): Promise<void> => {
    if (!wrong && !busy) await attempt(() => editJob(id, changes(text)).then(close));
  };
  const shared = {
    class: "ui-input",
    "aria-label": label,
    "aria-invalid": wrong !== null,
    value: text,
    onInput: (event: { currentTarget: { value: string } }) => {
      setText(event.currentTarget.value);
      if (long) drafts.set(id, event.currentTarget.value);
    },
    onKeyDown: (event: KeyboardEvent) => {
      if (composing(event)) return;
      if (event.key === "Escape") close();
      else if (event.key === "Enter" && (event.ctrlKey || event.metaKey || !long)) void save();
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
  };
  return (
    <form class={long ? "job-edit job-edit-long" : "job-edit"} onSubmit={submits(save)}>
      {long ? <textarea ref={area} rows={4} {...shared} /> : <input ref={line} {...shared} />}
      <div class="job-edit-actions">
        <Button kind="primary" small type="submit" busy={busy} disabled={wrong !== null}>
          Save
        </Button>
        <Button kind="quiet" small onClick={close}>
          Cancel
        </Button>
      </div>
      {(wrong ?? error) ? (
        <p class="ui-field-error" role="alert">
          {wrong ?? clean(error, 300)}
        </p>
      ) : (
        hint && <p class="ui-field-hint">{hint}</p>
      )}
    </form>
  );
}

export function NameEdit({ id, name }: { id: string; name: string }) {
  return (
    <Edit
      id={id}
      label="Name"
      value={name}
      trouble={(text) =>
        text.trim() === ""
          ? "A job has a name"
          : text.length > LIMITS.name
            ? `At most ${LIMITS.name} characters`
            : null
      }
      changes={(text) => ({ name: text })}
    />
  );
}

const split = (text: string): string[] =>
  text
    .split(",")
    .map((tag) => tag.trim())
    .filter(Boolean);

export function Tags({ job }: { job: Job }) {
  const tags = job.tags ?? [];
  if (editing.value === "tags") {
    return (
      <Edit
        id={job.id}
        label="Tags, separated by commas"
        value={tags.join(", ")}
        hint="Separate tags with commas"
        trouble={(text) => {
          const typed = split(text);
          if (typed.length > LIMITS.tags) return `At most ${LIMITS.tags} tags`;
          return typed.some((tag) => tag.length > LIMITS.tag)
            ? `A tag has at most ${LIMITS.tag} characters`
            : null;
        }}
        changes={(text) => ({ tags: split(text) })}
      />
    );
  }
  if (tags.length === 0) return null;
  return (
    <ul class="job-tags" aria-label="Tags">
      {tags.slice(0, SHOWN_TAGS).map((tag, index) => (
        <li key={index}>
          <bdi>{clean(tag, LIMITS.tag)}</bdi>
        </li>
      ))}
      {tags.length > SHOWN_TAGS && <li>{plural(tags.length - SHOWN_TAGS, "more tag")}</li>}
    </ul>
  );
}

type MarkdownView = ComponentType<{ text: string }>;
/** Loaded with the first notes: nothing else on this page needs it. */
const markdown = signal<MarkdownView | null>(null);

export function Notes({ job }: { job: Job }) {
  const { notes } = job;
  useEffect(() => {
    if (notes && !markdown.peek())
      void import("../../../markdown").then((module) => {
        markdown.value = module.Markdown;
      });
  }, [notes]);
  if (editing.value === "notes") {
    return (
      <section aria-label="Notes">
        <h2>Notes</h2>
        <Edit
          long
          id={job.id}
          label="Notes"
          value={notes ?? ""}
          hint="Markdown. Ctrl+Enter saves."
          trouble={(text) =>
            text.length > LIMITS.notes ? `At most ${LIMITS.notes.toLocaleString("en")} characters` : null
          }
          changes={(text) => ({ notes: text })}
        />
      </section>
    );
  }
  if (!notes) return null;
  const View = markdown.value;
  const text = cleanBlock(notes, LIMITS.notes);
  return (
    <section class="job-notes" aria-label="Notes">
      <h2>Notes</h2>
      {View ? <View text={text} /> : <p class="job-notes-plain">{text}</p>}
    </section>
  );
}
