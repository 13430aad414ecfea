import { Icon, type IconName } from "../ui/icon";
import { type PageName, route } from "../router";

const LINKS: readonly { page: PageName; label: string; href: string; icon: IconName; within?: readonly PageName[] }[] = [
  { page: "home", label: "Home", href: "#/", icon: "home" },
  { page: "jobs", label: "Jobs", href: "#/jobs", icon: "jobs", within: ["job", "compare"] },
  { page: "playground", label: "Playground", href: "#/playground", icon: "playground" },
  { page: "endpoints", label: "Endpoints", href: "#/endpoints", icon: "endpoints" },
];

/** The pages: words in the bar on a wide screen, signs with words at the bottom of a narrow one. */
export function Nav() {
  const here = route.value.page;
  return (
    <nav class="shell-nav" aria-label="Pages">
      {LINKS.map((link) => {
        const on = link.page === here || link.within?.includes(here);
        return (
          <a key={link.page} href={link.href} class="shell-link" aria-current={on ? (link.page === here ? "page" : "true") : undefined}>
            <Icon name={link.icon} size={18} />
            {link.label}
          </a>
        );
      })}
    </nav>
  );
}
