import type { Action } from "../actions/actions";
import { LINKS, PAGES } from "../pages/registry";
import { go, route } from "../router";
import { features } from "../store/features";
import { Icon } from "../ui/controls/icon";

type Link = (typeof LINKS)[number];

const hrefOf = ({ name }: Link): string => `#/${name === "home" ? "" : name}`;
const isOffered = ({ needs }: Link): boolean => needs === undefined || features.value.has(needs);

export const PAGE_ACTIONS: readonly Action[] = LINKS.map((link) => ({
  name: `go.${link.name}`,
  label: `Go to ${link.label}`,
  keys: `g ${link.key}`,
  section: "Pages",
  when: () => isOffered(link),
  run: () => go(hrefOf(link)),
}));

/** The links to the pages: in the bar on a wide screen, with icons at the bottom of a narrow one. */
export function Nav() {
  const current = route.value.page;
  const within = PAGES.get(current)?.within;
  return (
    <nav class="shell-nav" aria-label="Pages">
      {LINKS.filter(isOffered).map((link) => (
        <a
          key={link.name}
          href={hrefOf(link)}
          class="shell-link"
          aria-current={link.name === current ? "page" : link.name === within ? "true" : undefined}
        >
          <Icon name={link.icon} size={18} />
          {link.label}
        </a>
      ))}
    </nav>
  );
}
