/** Selects a target: a field that filters a list of base models and jobs (ARIA's combobox pattern). */
import { useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { number } from "../../lib/format";
import { served } from "../../store/features";
import { jobs } from "../../store/jobs";
import { manifest } from "../../store/manifest";
import { DryMark } from "../../ui/dry";
import { StatusDot } from "../../ui/status";
import { RelativeTime } from "../../ui/time";
import type { Target } from "../model/types";
import { adapterJobs, baseModels } from "../targets";
import { type Option, optionsFor } from "./options";

interface Props {
  onPick: (target: Target) => void;
  onClose: () => void;
}

export function Picker({ onPick, onClose }: Props) {
  const [typed, setTyped] = useState("");
  const [at, setAt] = useState(0);
  const id = useId();
  const root = useRef<HTMLDivElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const list = jobs.value;
  const trainers = manifest.value;
  const offered = served.value;
  const { options, more } = useMemo(
    () => optionsFor(typed, baseModels(list, trainers, offered), adapterJobs(list)),
    [typed, list, trainers, offered],
  );
  const active = Math.min(at, options.length - 1);

  // Before the next key, which may follow immediately.
  useLayoutEffect(() => field.current?.focus(), []);
  useLayoutEffect(() => {
    const outside = (event: Event): void => {
      if (!root.current?.contains(event.target as Node)) onClose();
    };
    addEventListener("pointerdown", outside);
    return () => removeEventListener("pointerdown", outside);
  }, []);
  useEffect(
    () => root.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" }),
    [active],
  );

  const onKeyDown = (event: KeyboardEvent): void => {
    const chosen = options[active];
    if (event.key === "ArrowDown") setAt(Math.min(options.length - 1, active + 1));
    else if (event.key === "ArrowUp") setAt(Math.max(0, active - 1));
    else if (event.key === "Enter" && chosen && !event.isComposing) onPick(chosen.target);
    else if (event.key === "Escape") onClose();
    else if (event.key === "Tab") return onClose();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="chat-picker" ref={root}>
      <input
        ref={field}
        class="chat-picker-field"
        role="combobox"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={options[active] ? `${id}-${active}` : undefined}
        aria-label="Search jobs and models, or type a model's name"
        placeholder="Search, or type a model’s name"
        autoComplete="off"
        spellcheck={false}
        value={typed}
        onInput={(event) => {
          setTyped(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={onKeyDown}
      />
      <div class="chat-picker-list" role="listbox" id={id} aria-label="Models and adapters">
        {options.map((option, index) => (
          <Row
            key={option.key}
            id={`${id}-${index}`}
            option={option}
            first={option.group !== options[index - 1]?.group}
            active={index === active}
            pick={() => onPick(option.target)}
          />
        ))}
        {options.length === 0 && (
          <p class="chat-picker-note">
            No model is known yet. Type one, such as HuggingFaceTB/SmolLM2-135M-Instruct.
          </p>
        )}
        {more > 0 && <p class="chat-picker-note">{number(more)} more jobs: type to find them.</p>}
      </div>
    </div>
  );
}

function Row({
  id,
  option,
  first,
  active,
  pick,
}: {
  id: string;
  option: Option;
  first: boolean;
  active: boolean;
  pick: () => void;
}) {
  const { label, detail, job } = option;
  return (
    <>
      {first && (
        <p class="chat-picker-group" role="presentation">
          {option.group}
        </p>
      )}
      <div
        id={id}
        role="option"
        aria-selected={active}
        class={active ? "chat-option chat-option-on" : "chat-option"}
        onClick={pick}
      >
        <span class="ellipsis" dir="auto" title={label}>
          {label}
        </span>
        {job && (
          <span class="chat-option-meta">
            <DryMark job={job} />
            <StatusDot status={job.status} />
            <span class="mono">{detail.slice(0, 12)}</span>
            <RelativeTime at={job.createdAt} />
          </span>
        )}
      </div>
    </>
  );
}
