/** Rows that are not to be trained on: added to arkor.toml, or removed from it. */
import { api } from "../../api/client";
import type { SettingsWritten, Trainer } from "../../contract.gen";
import { plural } from "../../lib/format";
import { forgetEdits, manifest, reloadManifest } from "../../store/manifest";
import { say } from "../../ui/controls/live";
import { remember, type Undo } from "./edit/history";
import type { OpenedView } from "./view";

/** Excludes rows from training, or includes them again. Each source of the data set has its own list. */
export async function exclude(
  { name }: Trainer,
  opened: OpenedView,
  rows: readonly number[],
  excluded: boolean,
): Promise<void> {
  const { signal } = new AbortController();
  const entries = new Map<number, string[]>();
  for (const row of rows) {
    const { exclusion } = await opened.tokens(row, signal);
    if (exclusion) entries.set(exclusion.source, [...(entries.get(exclusion.source) ?? []), exclusion.entry]);
  }
  const label = `${plural(rows.length, "row")} ${excluded ? "excluded" : "included again"}`;
  await write(name, entries, excluded);
  const undo =
    (back: boolean): Undo =>
    async () => {
      await write(name, entries, back);
      return undo(!back);
    };
  remember({ label, undo: undo(!excluded), row: rows[0] ?? 1 });
  say(`${label} in arkor.toml`);
}

async function write(
  trainer: string,
  entries: ReadonlyMap<number, readonly string[]>,
  excluded: boolean,
): Promise<void> {
  let revision = manifest.peek()?.revision;
  for (const [part, list] of entries) {
    const body = { trainer, revision, part, [excluded ? "exclude" : "include"]: list };
    ({ revision } = await api<SettingsWritten>("/manifest/dataset", { method: "POST", body }));
  }
  await reloadManifest();
  forgetEdits();
}
