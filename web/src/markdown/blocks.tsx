/** Block tokens as nodes. */

import type { Token, Tokens } from "marked";
import type { ComponentChildren, CSSProperties } from "preact";
import { useContext } from "preact/hooks";
import { CopyButton } from "../ui/controls/copy";
import { InDocument, inlineNodes, MAX_DEPTH } from "./inline";

const blockNodes = (tokens: readonly Token[] | undefined, depth: number): ComponentChildren =>
  tokens?.map((token) => blockNode(token, depth + 1));

export function blockNode(token: Token, depth: number): ComponentChildren {
  if (depth > MAX_DEPTH) return <p class="md-raw">{token.raw}</p>;
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "paragraph":
      return <p dir="auto">{inlineNodes(token.tokens, depth)}</p>;
    case "heading":
      return <Heading token={token as Tokens.Heading} depth={depth} />;
    case "code":
      return <Code token={token as Tokens.Code} />;
    case "blockquote":
      return <blockquote dir="auto">{blockNodes(token.tokens, depth)}</blockquote>;
    case "list":
      return <List token={token as Tokens.List} depth={depth} />;
    case "table":
      return <Table token={token as Tokens.Table} depth={depth} />;
    case "hr":
      return <hr />;
    case "text":
      return <>{token.tokens ? inlineNodes(token.tokens, depth) : (token as Tokens.Text).text}</>;
    case "checkbox":
      return (token as { checked?: boolean }).checked ? "☑ " : "☐ ";
    default:
      return <p class="md-raw">{token.raw}</p>;
  }
}

/** In an answer, all one level below the question's: models skip levels, which an outline must not. */
function Heading({ token, depth }: { token: Tokens.Heading; depth: number }) {
  if (useContext(InDocument)) {
    const Level = `h${token.depth}` as "h1";
    return (
      <Level id={slug(token.text)} tabIndex={-1}>
        {inlineNodes(token.tokens, depth)}
      </Level>
    );
  }
  return (
    <h3 dir="auto" class={token.depth === 1 ? "md-title" : undefined}>
      {inlineNodes(token.tokens, depth)}
    </h3>
  );
}

/** A heading's name in links, such as `general-questions`. */
const slug = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^\w\s-]/gu, "")
    .trim()
    .replace(/[\s-]+/gu, "-");

function Code({ token }: { token: Tokens.Code }) {
  const language = /^[\w+#.-]{1,24}/u.exec(token.lang ?? "")?.[0] ?? "";
  return (
    <div class="md-code" dir="ltr">
      <div class="md-code-head">
        <span>{language}</span>
        <CopyButton text={token.text} label="Copy code" small />
      </div>
      {/* A scrollable region must be reachable by keyboard. */}
      <pre tabIndex={0} role="group" aria-label={language ? `Code, ${language}` : "Code"}>
        <code>{token.text}</code>
      </pre>
    </div>
  );
}

function List({ token, depth }: { token: Tokens.List; depth: number }) {
  const items = token.items.map((item, index) => (
    <li key={index} class={item.task ? "md-task" : undefined}>
      {blockNodes(item.tokens, depth)}
    </li>
  ));
  return token.ordered ? (
    <ol dir="auto" start={Number(token.start) || 0}>
      {items}
    </ol>
  ) : (
    <ul dir="auto">{items}</ul>
  );
}

function Table({ token, depth }: { token: Tokens.Table; depth: number }) {
  const cell = (tableCell: Tokens.TableCell): CSSProperties | undefined =>
    tableCell.align ? { textAlign: tableCell.align } : undefined;
  return (
    <div class="md-table" tabIndex={0} role="group" aria-label="Table">
      <table>
        <thead>
          <tr>
            {token.header.map((tableCell, index) => (
              <th key={index} dir="auto" style={cell(tableCell)}>
                {inlineNodes(tableCell.tokens, depth)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {token.rows.map((row, index) => (
            <tr key={index}>
              {row.map((tableCell, column) => (
                <td key={column} dir="auto" style={cell(tableCell)}>
                  {inlineNodes(tableCell.tokens, depth)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
