/** Markdown as Preact nodes: all text becomes text nodes, and nothing is ever loaded. */
import "./markdown.css";
import type { Token } from "marked";
import { Component, type ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { blockNode } from "./blocks";
import { MarkdownStream } from "./lex";
import { UNWANTED } from "./safe";

/** Plain text is laid out in chunks of this many characters, so that those outside the window cost nothing. */
const PIECE = 20_000;

/** A finished block is the same object at the next token, and is not drawn again. */
class Block extends Component<{ token: Token }> {
  override shouldComponentUpdate(next: { token: Token }): boolean {
    return next.token !== this.props.token;
  }

  override render(): ComponentChildren {
    return blockNode(this.props.token, 0);
  }
}

/** `text` may grow from render to render; only its last block is parsed and rendered again. */
export function Markdown({ text }: { text: string }) {
  const stream = useRef<MarkdownStream | null>(null);
  stream.current ??= new MarkdownStream();
  const { blocks, rest } = stream.current.read(text);
  return (
    <div class="md">
      {blocks.map((token, index) => (
        <Block key={index} token={token} />
      ))}
      {rest !== "" && <PlainText text={rest} />}
    </div>
  );
}

export function PlainText({ text: raw }: { text: string }) {
  const text = raw.replace(UNWANTED, "");
  const pieces = Array.from({ length: Math.ceil(text.length / PIECE) }, (_, n) =>
    text.slice(n * PIECE, (n + 1) * PIECE),
  );
  return (
    <>
      {pieces.map((piece, index) => (
        <div class="md-plain" dir="auto" key={index}>
          {piece}
        </div>
      ))}
    </>
  );
}
