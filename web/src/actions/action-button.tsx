import type { ComponentProps } from "preact";
import { Button } from "../ui/controls/button";
import { type Action, canRun } from "./actions";
import { keyLabel } from "./keys";

interface Props extends ComponentProps<typeof Button> {
  action: Action;
}

/** An action's button, named by its children or by the action; its tooltip shows the key. */
export function ActionButton({ action, icon, children, ...rest }: Props) {
  const { label, keys, run } = action;
  const text = children ?? (icon ? undefined : label);
  return (
    <Button
      disabled={!canRun(action)}
      title={keys ? `${label} (${keyLabel(keys).join(" ")})` : undefined}
      {...rest}
      {...(icon ? { icon } : {})}
      aria-label={text === undefined ? label : undefined}
      onClick={run}
    >
      {text}
    </Button>
  );
}
