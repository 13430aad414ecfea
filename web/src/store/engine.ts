/** The engine for training on this machine, which may not be installed yet. */
import { signal } from "@preact/signals";
import { connection } from "../api/connection";
import type { EngineSetup } from "../contract.gen";

/** Null until it is known. */
export const engine = signal<EngineSetup | null>(null);

/** Whether this Studio cannot train before the engine is installed. */
export const engineAwaited = (): boolean =>
  connection.value === "stale" && engine.value?.next === null && engine.value.state !== "installed";
