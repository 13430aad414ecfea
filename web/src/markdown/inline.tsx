/** Inline tokens as nodes. */

import type { Token, Tokens } from "marked";
import { type ComponentChildren, createContext } from "preact";
import { useContext } from "preact/hooks";
import { decodeEntities, safeHref } from "./safe";

/** Deeper nesting than people write is shown as source text. */
export const MAX_DEPTH = 16;

export function inlineNodes(tokens: readonly Token[] | undefined, depth: number): ComponentChildren {
  return tokens?.map((token) => inlineNode(token, depth + 1));
}

/** A token's children, or its text if it has none. */
const inner = (token: Token, depth: number): ComponentChildren =>
  "tokens" in token && token.tokens
    ? inlineNodes(token.tokens, depth)
    : "text" in token
      ? decodeEntities(String(token.text))
      : token.raw;

function inlineNode(token: Token, depth: number): ComponentChildren {
  if (depth > MAX_DEPTH) return token.raw;
  switch (token.type) {
    case "strong":
      return <strong>{inner(token, depth)}</strong>;
    case "em":
      return <em>{inner(token, depth)}</em>;
    case "del":
      return <del>{inner(token, depth)}</del>;
    case "codespan":
      return <code class="md-inline">{(token as Tokens.Codespan).text}</code>;
    case "br":
      return <br />;
    case "link":
      return <Link href={(token as Tokens.Link).href}>{inner(token, depth)}</Link>;
    case "image":
      return <Picture token={token as Tokens.Image} />;
    case "checkbox":
      return (token as { checked?: boolean }).checked ? "☑ " : "☐ ";
    case "html":
      return token.raw;
    default:
      return inner(token, depth);
  }
}

/** Makes text a document of this program: its links lead within the page, and its headings keep their levels. */
export interface DocumentLinks {
  /** A relative link as an address of the page, or null. */
  address: (href: string) => string | null;
}

export const InDocument = createContext<DocumentLinks | null>(null);

/** A link within a document, or an external one if its address is http or https; else its text only. */
function Link({ href, children }: { href: string; children: ComponentChildren }) {
  const own = useContext(InDocument)?.address(href) ?? null;
  if (own !== null) return <a href={own}>{children}</a>;
  const safe = safeHref(href);
  if (safe === null) return <span>{children}</span>;
  return (
    <a href={safe} target="_blank" rel="noopener noreferrer">
      {children}
    </a>
  );
}

/** Never loaded: its description, which links to it. Those of a document only repeat what its text says. */
function Picture({ token }: { token: Tokens.Image }) {
  if (useContext(InDocument)) return null;
  return (
    <Link href={token.href}>
      <span class="md-image">image</span> {decodeEntities(token.text) || token.href}
    </Link>
  );
}
