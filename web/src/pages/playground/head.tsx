/** The head of a column: who answers there, to be changed in place. */
import { useRef, useState } from "preact/hooks";
import { nameTarget } from "../../chat/targets";
import type { Target } from "../../chat/types";
import { jobHref } from "../../router";
import { jobs } from "../../store/jobs";
import { Button, Icon } from "../../ui";
import { PartSelect } from "./part";
import { Picker } from "./picker";

interface Props {
  /** `Left` and `Right` when two are compared. */
  place: string;
  target: Target | undefined;
  /** Figures of the last answer. */
  figures: string;
  onPick: (target: Target) => void;
  /** Leaves the other column alone; absent where there is none. */
  onClose?: () => void;
}

export function Head({ place, target, figures, onPick, onClose }: Props) {
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const close = (): void => {
    setOpen(false);
    button.current?.focus();
  };
  const named = target && nameTarget(target, jobs.value);
  return (
    <div class="pg-head">
      <div class="pg-head-who">
        <button
          ref={button}
          type="button"
          class="pg-target"
          aria-haspopup="listbox"
          aria-expanded={open}
          aria-label={`${place}answers: ${named ? `${named.name}, ${named.part}` : "nobody yet"}. Change`}
          title={target?.kind === "base" ? target.model : named?.name}
          // The list closes on a press outside of it, which this button is; the press may not reopen it.
          onPointerDown={(event) => open && event.stopPropagation()}
          onClick={() => setOpen(!open)}
        >
          <span class="ellipsis" dir="auto">
            {named?.name ?? "Choose a model"}
          </span>
          <Icon name="down" />
        </button>
        {target?.kind === "base" && <span class="pg-head-part">base model</span>}
        {target && target.kind !== "base" && <PartSelect target={target} onPick={onPick} />}
        {target && target.kind !== "base" && (
          <a class="pg-head-job" href={jobHref(target.jobId)}>
            job
          </a>
        )}
        {onClose && <Button kind="quiet" small icon="close" class="pg-head-close" aria-label={`Close the ${place.toLowerCase()}column`} title="Close this column" onClick={onClose} />}
      </div>
      {figures !== "" && <p class="chat-figures num">{figures}</p>}
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
