import type { Action } from "../actions/actions";
import { go, type PageName, route } from "../router";
import { features } from "../store/features";
import { Icon, type IconName } from "../ui/controls/icon";

interface Link {
  page: PageName;
  label: string;
  href: string;
  /** The key after `g` in its shortcut. */
  key: string;
  icon: IconName;
  within?: readonly PageName[];
  /** The backend's optional feature that the page needs. */
  needs?: string;
}

const LINKS: readonly Link[] = [
  { page: "home", label: "Home", href: "#/", key: "h", icon: "home" },
  { page: "data", label: "Data", href: "#/data", key: "d", icon: "data", needs: "datasets" },
  {
    page: "jobs",
    label: "Jobs",
    href: "#/jobs",
    key: "j",
    icon: "jobs",
    within: ["job", "compare", "blind"],
  },
  { page: "playground", label: "Playground", href: "#/playground", key: "p", icon: "playground" },
  {
    page: "endpoints",
    label: "Endpoints",
    href: "#/endpoints",
    key: "e",
    icon: "endpoints",
    needs: "endpoints",
  },
];

const isThere = ({ needs }: Link): boolean => needs === undefined || features.value.has(needs);

export const PAGE_ACTIONS: readonly Action[] = LINKS.map((link) => ({
  name: `go.${link.page}`,
  label: `Go to ${link.label}`,
  keys: `g ${link.key}`,
  section: "Pages",
  when: () => isThere(link),
  run: () => go(link.href),
}));

/** The links to the pages: in the bar on a wide screen, with icons at the bottom of a narrow one. */
export function Nav() {
  const here = route.value.page;
  return (
    <nav class="shell-nav" aria-label="Pages">
      {LINKS.filter(isThere).map((link) => {
        const on = link.page === here || link.within?.includes(here);
        return (
          <a
            key={link.page}
            href={link.href}
            class="shell-link"
            aria-current={on ? (link.page === here ? "page" : "true") : undefined}
          >
            <Icon name={link.icon} size={18} />
            {link.label}
          </a>
        );
      })}
    </nav>
  );
}
