/** The documentation of this copy, beside a list of its pages. */
import "./docs.css";
import "../../markdown/markdown.css";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { request, useAnswer } from "../../api/client";
import { blockNode } from "../../markdown/blocks";
import { InDocument } from "../../markdown/inline";
import { lex } from "../../markdown/lex";
import { href, route } from "../../router";
import { setTitle } from "../../store/document-title";
import { ErrorNote } from "../../ui/empty";
import { Skeleton } from "../../ui/skeleton";
import { docsAddress, type Listed, sections } from "./address";

const FIRST = "start";

const read = async (name: string, signal: AbortSignal): Promise<string> =>
  (await request(`/docs/${encodeURIComponent(name)}`, { signal })).text();

export default function Docs() {
  const { query } = route.value;
  const name = query.get("page") ?? FIRST;
  const index = useAnswer((signal) => read("index", signal), []);
  const groups = useMemo(() => sections(index.answer ?? ""), [index.answer]);
  const title = groups.flatMap(({ pages }) => pages).find((page) => page.name === name)?.title;
  useEffect(() => setTitle(title ?? "Documentation"), [title]);
  return (
    <div class="docs">
      <nav class="docs-pages" aria-label="Documentation">
        {groups.map((group) => (
          <section key={group.title}>
            <h2>{group.title}</h2>
            <ul>
              {group.pages.map((page) => (
                <Entry key={page.name} page={page} current={page.name === name} />
              ))}
            </ul>
          </section>
        ))}
      </nav>
      <Page key={name} name={name} at={query.get("at")} />
    </div>
  );
}

function Entry({ page, current }: { page: Listed; current: boolean }) {
  return (
    <li>
      <a href={href("/docs", { page: page.name })} aria-current={current ? "page" : undefined}>
        {page.title}
      </a>
    </li>
  );
}

function Page({ name, at }: { name: string; at: string | null }) {
  const { answer, error, retry } = useAnswer((signal) => read(name, signal), [name]);
  const box = useRef<HTMLElement>(null);
  const blocks = useMemo(() => (answer === null ? [] : lex(answer, false)), [answer]);
  const links = useMemo(() => ({ address: (link: string) => docsAddress(link, name) }), [name]);
  useEffect(() => {
    if (answer === null) return;
    const heading = at ? box.current?.querySelector<HTMLElement>(`[id="${CSS.escape(at)}"]`) : null;
    if (heading) heading.scrollIntoView();
    else scrollTo(0, 0);
  }, [answer, at]);
  if (error) return <ErrorNote title="This page could not be read" error={error} retry={retry} />;
  return (
    <article class="docs-page md" ref={box}>
      {answer === null ? (
        <Skeleton lines={12} height={18} />
      ) : (
        <InDocument.Provider value={links}>{blocks.map((token) => blockNode(token, 0))}</InDocument.Provider>
      )}
    </article>
  );
}
