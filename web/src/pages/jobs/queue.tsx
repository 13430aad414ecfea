/** The queue in one line: its length, whether it is held, and a link to its order. */
import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { errorText } from "../../api/client";
import type { Job } from "../../contract.gen";
import { plural } from "../../lib/format";
import { features } from "../../store/features";
import { queueHeld } from "../../store/jobs";
import { Button } from "../../ui/controls/button";
import { say } from "../../ui/controls/live";
import { holdQueue } from "./hold-queue";

interface DialogProps {
  onClose: () => void;
}

/** The dialog's code is loaded when it is first opened. */
const dialog = signal<ComponentType<DialogProps> | null>(null);
const open = signal(false);

export async function openQueue(): Promise<void> {
  try {
    dialog.value ??= (await import("./dialogs")).QueueDialog;
    open.value = true;
  } catch (error) {
    say(`Couldn't load the queue: ${errorText(error)}`);
  }
}

export function QueueLine({ jobs }: { jobs: readonly Job[] }) {
  const held = queueHeld.value;
  const waiting = jobs.filter(({ status }) => status === "queued").length;
  const Dialog = dialog.value;
  if (!features.value.has("queue") || (waiting === 0 && !held)) return null;
  return (
    <section class="jobs-queue" aria-label="Queue">
      <p>
        {waiting === 0 ? "The queue is empty." : `${plural(waiting, "job queued", "jobs queued")}.`}
        {held && <strong> The queue is held: no waiting job starts.</strong>}
      </p>
      {waiting > 1 && (
        <Button small kind="quiet" onClick={() => void openQueue()}>
          Change order
        </Button>
      )}
      <Button small kind={held ? "plain" : "quiet"} onClick={() => void holdQueue(!held)}>
        {held ? "Resume queue" : "Hold queue"}
      </Button>
      {open.value && Dialog && (
        <Dialog
          onClose={() => {
            open.value = false;
          }}
        />
      )}
    </section>
  );
}
