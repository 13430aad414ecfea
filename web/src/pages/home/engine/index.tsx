/** Installs the engine for training on this machine: its size first, then progress, and what to do next. */
import { useEffect, useState } from "preact/hooks";
import { ApiError, api, errorText } from "../../../api/client";
import { connection } from "../../../api/connection";
import type { EngineSetup } from "../../../contract.gen";
import { bytes } from "../../../lib/format";
import { clean } from "../../../lib/text";
import { engine } from "../../../store/engine";
import { refreshJobs } from "../../../store/jobs";
import { poll } from "../../../store/poll";
import { Button } from "../../../ui/controls/button";
import { CopyButton } from "../../../ui/controls/copy";
import { ErrorNote } from "../../../ui/empty";

import { isActive, share, stateWords } from "./words";

const ACTIVE_MS = 1000;
const REST_MS = 5000;

async function read(): Promise<void> {
  try {
    engine.value = await api<EngineSetup>("/setup");
  } catch {
    // The shell reports an unreachable daemon.
  }
}

export function Engine({ offered }: { offered: boolean }) {
  const setup = engine.value;
  // Says nothing about an engine that was installed before this visit.
  const [seen, setSeen] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const state = setup?.state;
  useEffect(() => {
    const reading = poll(read, () => (engine.peek() && isActive(engine.peek()!) ? ACTIVE_MS : REST_MS));
    return () => reading.stop();
  }, []);
  useEffect(() => {
    if (state !== undefined && state !== "installed") setSeen(true);
    if (state === "installed") void refreshJobs();
  }, [state]);
  if (!setup || offered !== (setup.next !== null)) return null;
  if (state === "installed" && (!seen || (setup.next === null && connection.value === "live"))) return null;

  const call = async (method: "POST" | "DELETE", body?: { install: boolean }): Promise<void> => {
    setError(null);
    try {
      engine.value = await api<EngineSetup>("/setup", body ? { method, body } : { method });
    } catch (fault) {
      if (!(fault instanceof ApiError && fault.status === 0)) setError(errorText(fault));
    }
  };
  const { plan } = setup;
  const active = isActive(setup);
  const words = stateWords(setup);
  return (
    <section class="home-engine" aria-labelledby="home-engine" data-focus-next="button">
      <h2 id="home-engine">{offered ? "Train on this machine" : "Install local training"}</h2>
      {state === "installed" ? null : (
        <p class="dim">
          Training on this machine's GPU or CPU needs PyTorch and a few more libraries. They go into an
          environment of their own{plan && " ("}
          {plan && <code>{clean(plan.folder, 300)}</code>}
          {plan && `, ${bytes(plan.free)} free)`}; <code>arkor-dev setup --remove</code> deletes it.
        </p>
      )}
      {state !== "installed" && plan?.words.map((line) => <p key={line}>{clean(line, 300)}</p>)}
      <p role="status" class={words ? "num" : "visually-hidden"}>
        {words}
      </p>
      {active && <progress value={share(setup) ?? undefined} aria-label="Installed" />}
      {setup.error !== null && state === "failed" && (
        <ErrorNote title="The installation failed" error={setup.error} />
      )}
      {error !== null && <ErrorNote error={error} />}
      {state === "installed" && setup.next !== null && (
        <p>
          Next: stop Studio with Ctrl-C in its terminal, and start it with <code>{setup.next}</code>{" "}
          <CopyButton small text={setup.next} label="Copy the command" />
        </p>
      )}
      {active ? (
        <Button onClick={() => void call("DELETE")}>Cancel</Button>
      ) : state === "installed" ? null : plan ? (
        <Button kind="primary" onClick={() => void call("POST", { install: true })}>
          {setup.progress ? "Continue" : "Install"}
          {plan.disk !== null && ` (${bytes(plan.disk)})`}
        </Button>
      ) : (
        <Button kind={offered ? "plain" : "primary"} onClick={() => void call("POST", { install: false })}>
          Show the size
        </Button>
      )}
    </section>
  );
}
