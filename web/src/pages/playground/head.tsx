/** A column's header: which model answers, and how fast its last answer was. */

import type { Target } from "../../chat/model/types";
import { TargetChoice } from "../../chat/picker/choice";
import { Button } from "../../ui/controls/button";

interface Props {
  /** `Left ` and `Right ` if two are compared, else empty. */
  place: string;
  target: Target | undefined;
  /** Figures of the last answer. */
  timingText: string;
  onPick: (target: Target) => void;
  /** Closes this column; absent if it is the only one. */
  onClose?: () => void;
}

export function Head({ place, target, timingText, onPick, onClose }: Props) {
  return (
    <div class="pg-head">
      <TargetChoice label={place ? `${place}column` : "Answers"} target={target} onPick={onPick}>
        {onClose && (
          <Button
            kind="quiet"
            small
            icon="close"
            class="pg-head-close"
            aria-label={`Close the ${place.toLowerCase()}column`}
            title="Close this column"
            onClick={onClose}
          />
        )}
      </TargetChoice>
      {onClose && <p class="chat-timing num">{timingText}</p>}
    </div>
  );
}
