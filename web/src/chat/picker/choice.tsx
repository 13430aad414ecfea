/** The answering model, changeable in place: a name that opens the list, and a select for its adapters. */
import "./picker.css";
import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";
import { jobHref } from "../../router";
import { features } from "../../store/features";
import { jobs } from "../../store/jobs";
import { Icon } from "../../ui/controls/icon";
import type { Target } from "../model/types";
import { answerable, percent, strengthOf } from "../strength";
import { nameTarget } from "../targets";
import { AdapterSelect } from "./adapter-select";
import { Picker } from "./picker";

interface Props {
  /** Prefix of the button's accessible name, such as `Left column answers`. */
  label: string;
  target: Target | undefined;
  onPick: (target: Target) => void;
  id?: string;
  children?: ComponentChildren;
}

export function TargetChoice({ label, target, onPick, id, children }: Props) {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const close = (): void => {
    setOpen(false);
    button.current?.focus();
  };
  const heard = target && answerable(target, features.value, jobs.value);
  const names = heard && nameTarget(heard, jobs.value);
  const strength = heard ? strengthOf(heard) : 1;
  return (
    <div class="chat-choice">
      <div class="chat-choice-row">
        <button
          ref={button}
          id={id}
          type="button"
          class="chat-target"
          aria-haspopup="listbox"
          aria-expanded={open}
          aria-label={`${label}: ${names ? `${names.name}, ${names.part}` : "Choose a model"}. Change`}
          title={target?.kind === "base" ? target.model : (names?.name ?? "Choose a model")}
          // The list closes on a press outside it, which includes this button; the press must not reopen it.
          onPointerDown={(event) => open && event.stopPropagation()}
          onClick={() => setOpen(!open)}
        >
          <span class="ellipsis" dir="auto">
            {names?.name ?? "Choose a model"}
          </span>
          <Icon name="down" />
        </button>
        {target?.kind === "base" && <span class="chat-kind">base model</span>}
        {target && target.kind !== "base" && (
          <>
            <AdapterSelect target={target} onPick={onPick} />
            {strength !== 1 && (
              <span class="chat-kind num" title="Adapter strength">
                {percent(strength)}
              </span>
            )}
            <a class="chat-job" href={jobHref(target.jobId)} title="Open the job">
              job
            </a>
          </>
        )}
        {children}
      </div>
      {open && (
        <Picker
          onClose={close}
          onPick={(picked) => {
            onPick(picked);
            close();
          }}
        />
      )}
    </div>
  );
}
