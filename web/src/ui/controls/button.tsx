import type { ComponentChildren, ComponentProps } from "preact";
import { Icon, type IconName } from "./icon";
import "./button.css";

export type ButtonKind = "primary" | "plain" | "quiet" | "danger";

interface Props extends Omit<ComponentProps<"button">, "size" | "icon"> {
  kind?: ButtonKind;
  small?: boolean;
  /** Keeps its place and shows that it is busy, but does nothing: its action is under way. */
  busy?: boolean;
  icon?: IconName;
  children?: ComponentChildren;
}

export function Button({
  kind = "plain",
  small,
  busy,
  icon,
  children,
  class: extra,
  onClick,
  ...rest
}: Props) {
  const names = [
    "ui-button",
    `ui-button-${kind}`,
    small && "ui-button-small",
    !children && "ui-button-icon",
    extra,
  ];
  return (
    <button
      type="button"
      {...rest}
      class={names.filter(Boolean).join(" ")}
      aria-busy={busy || undefined}
      aria-disabled={busy || undefined}
      onClick={busy ? undefined : onClick}
    >
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}
