/** Disk usage of jobs and models, largest first. */
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api, errorText, useAttempt } from "../../api/client";
import type { Disk } from "../../contract.gen";
import { bytes, number, plural } from "../../lib/format";
import { clean, displayName } from "../../lib/text";
import { jobHref } from "../../router";
import { Button } from "../../ui/controls/button";
import { Dialog } from "../../ui/dialog";
import { ErrorNote } from "../../ui/empty";
import { Skeleton } from "../../ui/skeleton";
import "./disk.css";

const MAX_JOBS = 50;

export function DiskDialog({ onClose }: { onClose: () => void }) {
  const [disk, setDisk] = useState<Disk | null>(null);
  const [error, setError] = useState<string | null>(null);
  const look = (): Promise<void> =>
    api<{ disk: Disk }>("/disk").then(
      (answer) => setDisk(answer.disk),
      (fault: unknown) => setError(errorText(fault)),
    );
  useEffect(() => void look(), []);
  return (
    <Dialog title="Disk use" onClose={onClose} wide>
      {error && <ErrorNote title="Couldn't read disk usage" error={error} />}
      {!disk && !error && <Skeleton lines={6} />}
      {disk && <Uses disk={disk} onClose={onClose} />}
      {disk && <Clean disk={disk} done={look} />}
      <div class="ui-dialog-actions">
        <Button data-focus onClick={onClose}>
          Done
        </Button>
      </div>
    </Dialog>
  );
}

function Uses({ disk, onClose }: { disk: Disk; onClose: () => void }) {
  const jobs = disk.jobs.toSorted((a, b) => b.bytes - a.bytes);
  const total = jobs.reduce((sum, job) => sum + job.bytes, 0);
  return (
    <div class="disk" tabIndex={0} role="region" aria-label="Disk usage by job and model">
      <p>
        {plural(jobs.length, "job takes", "jobs take")} {bytes(total)}, records and events{" "}
        {bytes(disk.database)}. {bytes(disk.free)} are free.
      </p>
      {jobs.length > 0 && (
        <Sizes
          title="Jobs"
          rows={jobs.slice(0, MAX_JOBS).map((job) => ({
            size: job.bytes,
            name: (
              <a href={jobHref(job.id)} onClick={onClose}>
                {clean(displayName(job.name), 120)}
              </a>
            ),
          }))}
        />
      )}
      {jobs.length > MAX_JOBS && <p class="hint">and {number(jobs.length - MAX_JOBS)} smaller ones</p>}
      {disk.models.length > 0 && (
        <Sizes
          title="Models"
          rows={disk.models.map((model) => ({
            size: model.bytes,
            name: (
              <>
                {clean(model.name, 120)}{" "}
                {model.shared ? (
                  <span class="hint">other programs use it too</span>
                ) : (
                  model.used === false && <span class="hint">no job uses it</span>
                )}
              </>
            ),
          }))}
        />
      )}
    </div>
  );
}

/** Unused by any job, in words, with its size. */
function spareOf(disk: Disk): { what: string; size: number }[] {
  const models = disk.models.filter(({ shared, used }) => !shared && used === false);
  return [
    { what: "Files of no job", size: disk.leftovers },
    { what: "Embeddings of rows. They can be made again.", size: disk.embeddings ?? 0 },
    ...models.map(({ name, bytes: size }) => ({
      what: `The model ${clean(name, 120)}, which no job uses. It can be downloaded again.`,
      size,
    })),
    { what: "Records and events of jobs that were deleted", size: disk.unused ?? 0 },
  ].filter(({ size }) => size > 0);
}

/** Deletes unneeded files after a confirmation that lists them. */
function Clean({ disk, done }: { disk: Disk; done: () => Promise<void> }) {
  const [asks, setAsks] = useState(false);
  const { busy, error, attempt } = useAttempt();
  const [status, setStatus] = useState("");
  const spare = spareOf(disk);
  const total = bytes(spare.reduce((sum, { size }) => sum + size, 0));
  const remove = (): Promise<void> =>
    attempt(async () => {
      const { freed } = await api<{ freed: number }>("/disk/clean", { method: "POST" });
      setStatus(`${bytes(freed)} removed.`);
      setAsks(false);
      await done();
    });
  return (
    <section class="disk-clean" aria-label="Unused by any job">
      {asks ? (
        <>
          <h3>Remove {total} from the disk?</h3>
          <ul>
            {spare.map(({ what, size }) => (
              <li key={what}>
                {what} <span class="num">({bytes(size)})</span>
              </li>
            ))}
          </ul>
          <div class="disk-actions">
            <Button small disabled={busy} onClick={() => setAsks(false)}>
              Keep
            </Button>
            <Button small kind="danger" disabled={busy} onClick={remove}>
              {busy ? "Removing" : `Remove ${total}`}
            </Button>
          </div>
        </>
      ) : (
        spare.length > 0 && (
          <Button small onClick={() => setAsks(true)}>
            Remove unused files ({total})
          </Button>
        )
      )}
      <p role="status">{status}</p>
      {error && <ErrorNote title="Not everything could be removed" error={error} />}
    </section>
  );
}

function Sizes({ title, rows }: { title: string; rows: { size: number; name: ComponentChildren }[] }) {
  return (
    <section>
      <h3>{title}</h3>
      <dl class="disk-sizes">
        {rows.map(({ size, name }, index) => (
          <div key={index}>
            <dt>{name}</dt>
            <dd class="num">{bytes(size)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
