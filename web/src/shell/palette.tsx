import { useEffect, useRef, useState } from "preact/hooks";
import { type Action, availableActions } from "../actions/actions";
import { keyLabel } from "../actions/keys";
import { type Job, SETTINGS } from "../contract.gen";
import { displayName } from "../lib/text";
import { go, href, jobHref } from "../router";
import { jobs } from "../store/jobs";
import { Dialog } from "../ui/dialog";
import { DryMark } from "../ui/dry";
import { StatusDot } from "../ui/status";
import { best } from "./rank";

const MOST = 8;

type Entry = { kind: "action"; action: Action } | { kind: "job"; job: Job };

/** The command palette (Ctrl/Cmd-K): finds pages, actions and jobs by the typed words. */
export function Palette({ onClose }: { onClose: () => void }) {
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  const entries = find(typed);
  const chosen = Math.min(at, entries.length - 1);
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [chosen]);

  const run = (entry: Entry | undefined): void => {
    if (!entry) return;
    onClose();
    if (entry.kind === "job") go(jobHref(entry.job.id));
    // The dialog returns the focus when it closes; an action that moves it must run afterwards.
    else setTimeout(entry.action.run);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) setAt((chosen + step + entries.length) % Math.max(1, entries.length));
    else if (event.key === "Enter" && !event.isComposing) run(entries[chosen]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog title="Jump to" onClose={onClose} wide bare>
      <input
        class="shell-palette-input"
        type="text"
        role="combobox"
        aria-label="Jump to a job, page or action"
        aria-expanded={entries.length > 0}
        aria-controls="palette-list"
        aria-activedescendant={entries.length > 0 ? `palette-${chosen}` : undefined}
        aria-autocomplete="list"
        autoComplete="off"
        spellcheck={false}
        placeholder="Jump to a job, page or action"
        value={typed}
        onInput={(event) => {
          setTyped(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={onKeyDown}
      />
      <ul class="shell-palette-list" id="palette-list" role="listbox" aria-label="Results" ref={list}>
        {entries.map((entry, index) => (
          <li
            key={entry.kind === "job" ? entry.job.id : entry.action.name}
            id={`palette-${index}`}
            role="option"
            aria-selected={index === chosen}
            class="shell-palette-item"
            onPointerMove={() => setAt(index)}
            onClick={() => run(entry)}
          >
            {entry.kind === "job" ? <JobEntry job={entry.job} /> : <ActionEntry action={entry.action} />}
          </li>
        ))}
      </ul>
      {entries.length === 0 && <p class="shell-palette-none">Nothing found.</p>}
    </Dialog>
  );
}

/** Headings of the `?` sheet whose actions exist on every page. */
const EVERYWHERE: readonly (string | undefined)[] = ["Everywhere", "Pages"];

/** A trainer's settings, each in the form on Home; found by typing only. */
const SETTING_ACTIONS: readonly Action[] = SETTINGS.map(({ field, label }) => ({
  name: `setting.${field}`,
  label: `Setting: ${label}`,
  run: () => go(href("/", { setting: field })),
}));

/** Actions of the current page come before those of every page. */
function find(typed: string): Entry[] {
  const actions = availableActions().filter((action) => !action.hidden);
  const rank = ({ first, section }: Action): number => (first ? 0 : EVERYWHERE.includes(section) ? 2 : 1);
  const offered = actions.toSorted((a, b) => rank(a) - rank(b));
  const open = typed.trim() === "";
  const acts = best(offered, (action) => [action.label], typed, open ? offered.length : MOST);
  const matches = best(jobs.value, (job) => [job.name, job.id], typed, open ? 5 : MOST);
  if (!open) acts.push(...best(SETTING_ACTIONS, (action) => [action.label], typed, MOST - acts.length));
  const entries: Entry[] = acts.map((action) => ({ kind: "action", action }));
  const asJobs: Entry[] = matches.map((job) => ({ kind: "job", job }));
  return open ? [...entries, ...asJobs] : [...asJobs, ...entries];
}

function JobEntry({ job }: { job: Job }) {
  return (
    <>
      <span class="ellipsis" title={`${displayName(job.name)} ${job.id}`}>
        <bdi>{displayName(job.name)}</bdi> <span class="mono hint">{job.id}</span>
      </span>
      <span class="shell-palette-state">
        <DryMark job={job} />
        <StatusDot status={job.status} />
      </span>
    </>
  );
}

function ActionEntry({ action }: { action: Action }) {
  return (
    <>
      <span class="ellipsis">{action.label}</span>
      {action.keys && (
        <span class="shell-palette-keys">
          {keyLabel(action.keys).map((key) => (
            <kbd key={key}>{key}</kbd>
          ))}
        </span>
      )}
    </>
  );
}
