import { useEffect, useState } from "preact/hooks";
import { Button, type ButtonKind } from "./button";
import { announce } from "./live";

/** The clipboard API needs a secure context; localhost is one, so a refusal is the user's choice and is reported. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

interface Props {
  text: string | (() => string);
  /** What is copied, as the button's name: `Copy id`. With `children` only screen readers use it. */
  label: string;
  children?: string;
  small?: boolean;
  kind?: ButtonKind;
  class?: string;
}

export function CopyButton({ text, label, children, small, kind = "quiet", class: extra }: Props) {
  const [state, setState] = useState<"rest" | "done" | "failed">("rest");
  useEffect(() => {
    if (state === "rest") return undefined;
    const timer = setTimeout(() => setState("rest"), 1600);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = async (event: Event): Promise<void> => {
    event.preventDefault();
    event.stopPropagation();
    const done = await copyText(typeof text === "function" ? text() : text);
    setState(done ? "done" : "failed");
    announce(done ? "Copied" : "The browser did not allow copying");
  };
  const word = state === "done" ? "Copied" : state === "failed" ? "Not allowed" : children;
  return (
    <Button
      kind={kind}
      small={small ?? false}
      icon={state === "done" ? "check" : state === "failed" ? "close" : "copy"}
      aria-label={children && state !== "rest" ? undefined : label}
      title={label}
      class={extra}
      onClick={copy}
    >
      {children ? word : undefined}
    </Button>
  );
}
