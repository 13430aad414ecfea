import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { useActions } from "../actions/actions";
import { startFocus } from "../lib/focus";
import { pressFromAnywhere } from "../pages/home/press";
import { go, route } from "../router";
import { features } from "../store/features";
import { Button } from "../ui/controls/button";
import { Menu } from "../ui/controls/menu";
import { Confirmation } from "../ui/dialog";
import { Mark } from "../ui/icon";
import { LiveRegion } from "../ui/live";
import { ConnectionDot, ConnectionNote } from "./connection";
import { Identity } from "./identity";
import { Nav } from "./nav";
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

export function Shell({ children }: { children: ComponentChildren }) {
  const endpoints = features.value.has("endpoints");
  const home = route.value.page === "home";
  useActions(
    [
      // Home has its own, for the trainer that it shows.
      ...(home
        ? []
        : [{ id: "train", label: "Run training", first: true, run: () => void pressFromAnywhere() }]),
      {
        id: "palette",
        label: "Jump to a job, page or action",
        keys: "mod+k",
        section: "Everywhere",
        hidden: true,
        run: () => {
          open.value = "palette";
        },
      },
      {
        id: "shortcuts",
        label: "Show keyboard shortcuts",
        keys: "?",
        section: "Everywhere",
        run: () => {
          open.value = "shortcuts";
        },
      },
      { id: "go.home", label: "Go to Home", keys: "g h", section: "Pages", run: () => go("#/") },
      { id: "go.jobs", label: "Go to Jobs", keys: "g j", section: "Pages", run: () => go("#/jobs") },
      {
        id: "go.playground",
        label: "Go to Playground",
        keys: "g p",
        section: "Pages",
        run: () => go("#/playground"),
      },
      ...(endpoints
        ? [
            {
              id: "go.endpoints",
              label: "Go to Endpoints",
              keys: "g e",
              section: "Pages",
              run: () => go("#/endpoints"),
            },
          ]
        : []),
      ...THEMES.map(({ value, label }) => ({
        id: `theme.${value}`,
        label: `Theme: ${label.toLowerCase()}`,
        section: "Everywhere",
        run: () => setTheme(value),
      })),
    ],
    [endpoints, home],
  );
  useEffect(close, []);
  useEffect(startFocus, []);
  return (
    <>
      <a class="shell-skip" href="#main" onClick={skip}>
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
            <Button
              kind="quiet"
              small
              icon="search"
              aria-label="Jump to a job, page or action"
              title="Jump to… (Ctrl K)"
              onClick={() => {
                open.value = "palette";
              }}
            />
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
            <Button
              kind="quiet"
              small
              icon="help"
              class="shell-help"
              aria-label="Keyboard shortcuts"
              title="Keyboard shortcuts (?)"
              onClick={() => {
                open.value = "shortcuts";
              }}
            />
          </span>
        </div>
      </header>
      <main class="shell-main" id="main">
        <div data-heir="main h1">
          <ConnectionNote />
          <BackendNotice />
        </div>
        {children}
      </main>
      <LiveRegion />
      <Confirmation />
      {open.value === "palette" && <Palette onClose={close} />}
      {open.value === "shortcuts" && <Shortcuts onClose={close} />}
    </>
  );
}

/** The hash is the route, so the link itself may not change it. */
function skip(event: Event): void {
  event.preventDefault();
  document.querySelector<HTMLElement>("main h1")?.focus();
}
