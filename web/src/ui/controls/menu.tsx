import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { Button, type ButtonKind } from "./button";
import type { IconName } from "./icon";
import "./menu.css";

export interface MenuItem {
  label: string;
  hint?: string;
  run?: () => void;
  href?: string;
  danger?: boolean;
  disabled?: boolean;
  /** Marks the current one, in a menu of choices. */
  checked?: boolean;
  /** Whether it is on, in a menu of switches, which stays open. */
  ticked?: boolean;
}

interface Props {
  /** Labels the button; visible unless `icon` is given without `children`. */
  label: string;
  items: readonly MenuItem[];
  icon?: IconName;
  kind?: ButtonKind;
  small?: boolean;
  children?: ComponentChildren;
  align?: "start" | "end";
}

/** A button that opens a short menu: arrows move, Enter chooses, Escape and Tab close. */
export function Menu({ label, items, icon, kind = "quiet", small, children, align = "end" }: Props) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const root = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);

  const entries = (): HTMLElement[] => [
    ...(list.current?.querySelectorAll<HTMLElement>('[role^="menuitem"]:not([aria-disabled])') ?? []),
  ];
  const close = (): void => {
    setOpen(false);
    root.current?.querySelector("button")?.focus();
  };
  // Not a passive effect: the next key belongs to the menu.
  useLayoutEffect(() => {
    if (!open) return undefined;
    entries()[0]?.focus();
    const outside = (event: Event): void => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    addEventListener("pointerdown", outside);
    return () => removeEventListener("pointerdown", outside);
  }, [open]);

  const onKeyDown = (event: KeyboardEvent): void => {
    const all = entries();
    const at = all.indexOf(document.activeElement as HTMLElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) all[(at + step + all.length) % all.length]?.focus();
    else if (event.key === "Home") all[0]?.focus();
    else if (event.key === "End") all.at(-1)?.focus();
    else if (event.key === "Escape") close();
    else if (event.key === "Tab") return setOpen(false);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const onButtonKey = (event: KeyboardEvent): void => {
    if (event.key !== "ArrowDown") return;
    event.preventDefault();
    setOpen(true);
  };
  return (
    <div class="ui-menu" ref={root}>
      <Button
        kind={kind}
        small={small ?? false}
        {...(icon ? { icon } : {})}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        aria-label={children || !icon ? undefined : label}
        title={icon && !children ? label : undefined}
        onClick={() => setOpen(!open)}
        onKeyDown={onButtonKey}
      >
        {children ?? (icon ? undefined : label)}
      </Button>
      {open && (
        <div
          class={`ui-menu-list ui-menu-${align}`}
          role="menu"
          id={id}
          aria-label={label}
          ref={list}
          onKeyDown={onKeyDown}
        >
          {items.map((item) => (
            <Item key={item.label} item={item} close={close} />
          ))}
        </div>
      )}
    </div>
  );
}

function Item({ item, close }: { item: MenuItem; close: () => void }) {
  const on = item.checked ?? item.ticked;
  const choose = (): void => {
    if (item.ticked === undefined) close();
    item.run?.();
  };
  const shared = {
    class: item.danger ? "ui-menu-item ui-menu-danger" : "ui-menu-item",
    tabIndex: -1,
    "aria-disabled": item.disabled || undefined,
  };
  const inside = (
    <>
      <span>{item.label}</span>
      {item.hint && <span class="ui-menu-hint">{item.hint}</span>}
    </>
  );
  if (item.href && !item.disabled) {
    return (
      <a {...shared} role="menuitem" href={item.href} onClick={close}>
        {inside}
      </a>
    );
  }
  return (
    <button
      {...shared}
      type="button"
      role={on === undefined ? "menuitem" : item.ticked === undefined ? "menuitemradio" : "menuitemcheckbox"}
      aria-checked={on}
      onClick={item.disabled ? undefined : choose}
    >
      {inside}
    </button>
  );
}
