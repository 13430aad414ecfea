/** A button that lets the user choose files. */
import type { ComponentProps } from "preact";
import { useRef } from "preact/hooks";
import { Button } from "./button";

interface Props extends Omit<ComponentProps<typeof Button>, "onClick" | "type"> {
  /** The input's name for tests and screen readers. */
  input: string;
  accept?: string;
  multiple?: boolean;
  /** Choose a folder: all files in it. */
  folder?: boolean;
  /** Called with at least one file; choosing the same file again calls it again. */
  take: (files: File[]) => unknown;
}

export function FileButton({ input: label, accept, multiple, folder, take, ...button }: Props) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <Button {...button} onClick={() => input.current?.click()} />
      <input
        ref={input}
        class="visually-hidden"
        type="file"
        tabIndex={-1}
        aria-label={label}
        accept={accept}
        multiple={multiple}
        onChange={(event) => {
          const files = [...(event.currentTarget.files ?? [])];
          if (files.length > 0) take(files);
          event.currentTarget.value = "";
        }}
        {...(folder ? { webkitdirectory: true } : {})}
      />
    </>
  );
}
