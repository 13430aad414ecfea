import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useLayoutEffect } from "preact/hooks";
import { ActionButton } from "../actions/action-button";
import { type Action, useActions } from "../actions/actions";
import { refuseDrops } from "../lib/drop";
import { startFocusRecovery } from "../lib/focus";
import { runFromAnyPage } from "../pages/home/run-trainer";
import { go, href, jobHref, route } from "../router";
import { features } from "../store/features";
import { jobs } from "../store/jobs";
import { Mark } from "../ui/controls/icon";
import { LiveRegion } from "../ui/controls/live";
import { Menu } from "../ui/controls/menu";
import { Confirmation } from "../ui/dialog";
import { floating } from "../ui/floating";
import { ConnectionDot, ConnectionNote } from "./connection";
import { Identity } from "./identity";
import { LazyStartRequests } from "./lazy-start-requests";
import { Nav, PAGE_ACTIONS } from "./nav";
import { BackendNotice } from "./notice";
import { Palette } from "./palette";
import { Shortcuts } from "./shortcuts";
import { setTheme, type Theme, theme } from "./theme";
import "./shell.css";
import "./shortcuts.css";
import "./palette.css";

const open = signal<"none" | "palette" | "shortcuts">("none");
const close = (): void => {
  open.value = "none";
};

const THEMES: readonly { value: Theme; label: string }[] = [
  { value: "system", label: "System" },
  { value: "light", label: "Light" },
  { value: "dark", label: "Dark" },
];

const PALETTE: Action = {
  name: "palette",
  label: "Jump to a job, page or action",
  keys: "mod+k",
  section: "Everywhere",
  hidden: true,
  run: () => {
    open.value = "palette";
  },
};
const SHORTCUTS: Action = {
  name: "shortcuts",
  label: "Show keyboard shortcuts",
  keys: "?",
  section: "Everywhere",
  run: () => {
    open.value = "shortcuts";
  },
};
const lastCompleted = () => jobs.value.find(({ status }) => status === "completed");

const ACTIONS: readonly Action[] = [
  // Home has its own, for the trainer that it shows.
  {
    name: "train",
    label: "Run training",
    first: true,
    when: () => route.value.page !== "home",
    run: () => void runFromAnyPage(),
  },
  PALETTE,
  SHORTCUTS,
  {
    name: "docs",
    label: "Help: documentation",
    section: "Everywhere",
    run: () => go(href("/docs")),
  },
  {
    name: "sweep",
    label: "Search for better settings (sweep)",
    when: () => features.value.has("sweeps"),
    run: () => go(href("/sweeps", { new: true })),
  },
  {
    name: "make",
    label: "Make rows with a teacher",
    when: () => features.value.has("datasets"),
    run: () => go(href("/data", { make: "documents" })),
  },
  {
    name: "export",
    label: "Export the last completed job",
    when: () =>
      features.value.has("exports") && route.value.page !== "jobs/" && lastCompleted() !== undefined,
    run: () => go(jobHref(lastCompleted()!.id, { at: "exports" })),
  },
  ...PAGE_ACTIONS,
  ...THEMES.map(({ value, label }) => ({
    name: `theme.${value}`,
    label: `Theme: ${label.toLowerCase()}`,
    run: () => setTheme(value),
  })),
];

export function Shell({ children }: { children: ComponentChildren }) {
  const Floating = floating.value;
  // Before keys that open something exist.
  useLayoutEffect(close, []);
  useActions(undefined, ACTIONS);
  useLayoutEffect(startFocusRecovery, []);
  useLayoutEffect(refuseDrops, []);
  return (
    <>
      <a class="shell-skip" href="#main" onClick={skipToContent}>
        Skip to the content
      </a>
      <header class="shell-bar">
        <a class="shell-mark" href="#/" aria-label="Arkor Studio, home">
          <Mark />
          <span>Studio</span>
        </a>
        <Nav />
        <div class="shell-end">
          <Identity />
          <ConnectionDot />
          <span class="shell-tools">
            <ActionButton action={PALETTE} kind="quiet" small icon="search" />
            <Menu
              label="Theme"
              small
              icon={theme.value === "system" ? "system" : theme.value === "dark" ? "moon" : "sun"}
              items={THEMES.map(({ value, label }) => ({
                label,
                checked: theme.value === value,
                run: () => setTheme(value),
              }))}
            />
            <ActionButton action={SHORTCUTS} kind="quiet" small icon="help" class="shell-help" />
          </span>
        </div>
      </header>
      <main class="shell-main" id="main">
        <div data-focus-next="main h1">
          <ConnectionNote />
          <BackendNotice />
          <LazyStartRequests />
        </div>
        {children}
      </main>
      {Floating && <Floating />}
      <LiveRegion />
      <Confirmation />
      {open.value === "palette" && <Palette onClose={close} />}
      {open.value === "shortcuts" && <Shortcuts onClose={close} />}
    </>
  );
}

/** The hash is the route, so the link itself must not change it. */
function skipToContent(event: Event): void {
  event.preventDefault();
  document.querySelector<HTMLElement>("main h1")?.focus();
}
