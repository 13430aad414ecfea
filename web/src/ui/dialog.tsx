import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { Button, type ButtonKind } from "./controls/button";
import "./dialog.css";

interface Props {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  wide?: boolean;
  /** Shows the title to screen readers only. */
  bare?: boolean;
}

/** The browser's modal dialog: it keeps the focus, closes on Escape and returns the focus. */
export function Dialog({ title, onClose, children, wide, bare }: Props) {
  const box = useRef<HTMLDialogElement>(null);
  const id = useId();
  // Not a passive effect: the focus must be back before the next key.
  useLayoutEffect(() => {
    const node = box.current;
    const before = document.activeElement;
    node?.showModal();
    // Set manually: the attribute for it makes some browsers write to the console.
    node?.querySelector<HTMLElement>("[data-focus]")?.focus();
    return () => {
      node?.close();
      if (before instanceof HTMLElement && before !== document.body) {
        before.focus({ preventScroll: true });
        // The element is gone, or can no longer be focused.
        if (document.activeElement !== before)
          document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
      }
    };
  }, []);
  const outside = (event: MouseEvent): void => {
    if (event.target === box.current) onClose();
  };
  return (
    <dialog
      ref={box}
      class={["ui-dialog", wide && "ui-dialog-wide", bare && "ui-dialog-bare"].filter(Boolean).join(" ")}
      aria-labelledby={id}
      onMouseDown={outside}
      onCancel={(event) => {
        event.preventDefault();
        if (event.cancelable) onClose();
      }}
      // Its owner decides whether it closes; after repeated Escapes Chromium closes it anyway.
      onClose={() => {
        if (!box.current) return;
        box.current.showModal();
        onClose();
      }}
    >
      <div class="ui-dialog-body">
        <header class={bare ? "visually-hidden" : "ui-dialog-head"}>
          <h2 id={id}>{title}</h2>
          {!bare && <Button kind="quiet" small icon="close" aria-label="Close" onClick={onClose} />}
        </header>
        {children}
      </div>
    </dialog>
  );
}

interface Question {
  title: string;
  text: ComponentChildren;
  action: string;
  /** The button that answers no; `Back` by default. */
  no?: string;
  /** A further choice that leads elsewhere and counts as no. */
  other?: { label: string; href: string };
  danger?: boolean;
  answer: (yes: boolean) => void;
}

const current = signal<Question | null>(null);

/** Withdraws the open question, as if it had been answered with no. */
export function unask(): void {
  current.peek()?.answer(false);
  current.value = null;
}

/** Asks before an irreversible action; true if its button was pressed. */
export function confirm(question: Omit<Question, "answer">): Promise<boolean> {
  unask();
  return new Promise((answer) => {
    current.value = { ...question, answer };
  });
}

/** Renders `confirm`; once, in the shell. */
export function Confirmation() {
  const question = current.value;
  if (!question) return null;
  const close = (yes: boolean): void => {
    current.value = null;
    question.answer(yes);
  };
  const kind: ButtonKind = question.danger ? "danger" : "primary";
  return (
    <Dialog title={question.title} onClose={() => close(false)}>
      <p class="ui-dialog-text">{question.text}</p>
      <div class="ui-dialog-actions">
        <Button data-focus onClick={() => close(false)}>
          {question.no ?? "Back"}
        </Button>
        {question.other && (
          <a class="ui-button" href={question.other.href} onClick={() => close(false)}>
            {question.other.label}
          </a>
        )}
        <Button kind={kind} onClick={() => close(true)}>
          {question.action}
        </Button>
      </div>
    </Dialog>
  );
}
