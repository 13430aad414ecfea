/** The queue in starting order: reordered by dragging, keys, or a menu. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { errorText } from "../../api/client";
import type { Job } from "../../contract.gen";
import { number } from "../../lib/format";
import { clean, displayName } from "../../lib/text";
import { arrangeQueue, jobs, queueHeld } from "../../store/jobs";
import { Button } from "../../ui/controls/button";
import { Icon } from "../../ui/controls/icon";
import { announce } from "../../ui/controls/live";
import { Menu } from "../../ui/controls/menu";
import { Dialog } from "../../ui/dialog";
import { ErrorNote } from "../../ui/empty";
import { holdQueue } from "./hold-queue";
import { moved, rowAt } from "./queue-order";
import "./queue.css";

const waitingJobs = (): readonly Job[] =>
  jobs.value
    .filter(({ status }) => status === "queued")
    .sort((a, b) => (a.queue?.position ?? Infinity) - (b.queue?.position ?? Infinity));

export function QueueDialog({ onClose }: { onClose: () => void }) {
  // The requested order is shown until the backend has answered; then its order counts.
  const [requested, setRequested] = useState<readonly string[] | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [drag, setDrag] = useState<{ from: number; to: number } | null>(null);
  const box = useRef<HTMLOListElement>(null);
  const focus = useRef<string | null>(null);
  const listed = waitingJobs();
  const byId = new Map(listed.map((job) => [job.id, job]));
  const known = requested?.filter((id) => byId.has(id)) ?? [];
  const rest = listed.filter(({ id }) => !known.includes(id));
  const order = [...known.map((id) => byId.get(id)!), ...rest];
  const previewed = drag ? moved(order, drag.from, drag.to) : order;
  useLayoutEffect(() => {
    if (focus.current === null) return;
    box.current?.querySelector<HTMLElement>(`[data-id="${CSS.escape(focus.current)}"] .queue-grip`)?.focus();
    focus.current = null;
  });

  const move = async (from: number, to: number, keepFocus: boolean): Promise<void> => {
    const next = moved(order, from, to);
    const job = order[from];
    if (next === order || !job) return;
    if (keepFocus) focus.current = job.id;
    const ids = next.map(({ id }) => id);
    setRequested(ids);
    setError(null);
    announce(`${displayName(job.name)}: ${ids.indexOf(job.id) + 1} of ${ids.length}`);
    try {
      await arrangeQueue({ order: ids });
    } catch (fault) {
      setError(errorText(fault));
    }
    setRequested((now) => (now === ids ? null : now));
  };
  const middles = (): number[] =>
    [...(box.current?.children ?? [])].map((row) => {
      const { top, height } = row.getBoundingClientRect();
      return top + height / 2;
    });
  const start = (event: PointerEvent, from: number): void => {
    if (event.button !== 0) return;
    (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
    setDrag({ from, to: from });
  };
  const over = (event: PointerEvent): void => {
    if (!drag) return;
    const others = middles().filter((_, index) => index !== drag.to);
    setDrag({ from: drag.from, to: rowAt(event.clientY, others) });
  };
  const drop = (): void => {
    if (drag) void move(drag.from, drag.to, true);
    setDrag(null);
  };
  const onKeyDown = (event: KeyboardEvent, at: number): void => {
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: order.length - 1 }[event.key];
    if (event.key === "Escape" && drag) setDrag(null);
    else if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    else void move(at, to, true);
    event.preventDefault();
  };
  return (
    <Dialog title="Queue" onClose={onClose} wide>
      <p class="hint">
        Jobs start from the top, one at a time. Drag a job by its handle, or press ↑ and ↓ on it.
      </p>
      {error && <ErrorNote title="The order was not changed" error={error} />}
      {previewed.length === 0 && <p>The queue is empty.</p>}
      <ol class="queue-list" ref={box}>
        {previewed.map((job, at) => {
          const name = displayName(job.name);
          return (
            <li
              key={job.id}
              data-id={job.id}
              class={drag && order[drag.from] === job ? "queue-row queue-row-held" : "queue-row"}
            >
              <button
                type="button"
                class="queue-grip"
                aria-label={`Move ${name}, ${at + 1} of ${previewed.length}`}
                onPointerDown={(event) => start(event, at)}
                onPointerMove={over}
                onPointerUp={drop}
                onPointerCancel={() => setDrag(null)}
                onKeyDown={(event) => onKeyDown(event, at)}
              >
                <Icon name="grip" />
              </button>
              <span class="queue-place num">{number(at + 1)}</span>
              <span class="queue-name">
                <bdi>{clean(name, 80)}</bdi>
                <span class="hint mono">{clean(job.id, 64)}</span>
              </span>
              <Menu
                small
                label={`Where ${name} starts`}
                icon="more"
                items={[
                  { label: "Start next", to: 0 },
                  { label: "Move up", to: at - 1 },
                  { label: "Move down", to: at + 1 },
                  { label: "Start last", to: order.length - 1 },
                ].map(({ label, to }) => ({
                  label,
                  disabled: moved(order, at, to) === order,
                  run: () => void move(at, to, false),
                }))}
              />
            </li>
          );
        })}
      </ol>
      <div class="ui-dialog-actions">
        <Button onClick={() => void holdQueue(!queueHeld.value)}>
          {queueHeld.value ? "Resume queue" : "Hold queue"}
        </Button>
        <Button data-focus onClick={onClose}>
          Done
        </Button>
      </div>
    </Dialog>
  );
}
