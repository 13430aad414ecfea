/** What jobs and models take on the disk, the largest first. */
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { api, errorText } from "../../api/client";
import type { Disk } from "../../contract.gen";
import { bytes, number, plural } from "../../lib/format";
import { clean, displayName } from "../../lib/text";
import { jobHref } from "../../router";
import { Button, Dialog, ErrorNote, Skeleton } from "../../ui";
import "./disk.css";

const SHOWN = 50;

export function DiskDialog({ onClose }: { onClose: () => void }) {
  const [disk, setDisk] = useState<Disk | null>(null);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    api<{ disk: Disk }>("/disk").then(
      (answer) => setDisk(answer.disk),
      (fault: unknown) => setError(errorText(fault)),
    );
  }, []);
  return (
    <Dialog title="Disk use" onClose={onClose} wide>
      {error && <ErrorNote title="What lies on the disk could not be read" error={error} />}
      {!disk && !error && <Skeleton lines={6} />}
      {disk && <Uses disk={disk} onClose={onClose} />}
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
    <div class="disk" tabIndex={0} role="region" aria-label="What takes room on the disk">
      <p>
        {plural(jobs.length, "job takes", "jobs take")} {bytes(total)}, records and events{" "}
        {bytes(disk.database)}. {bytes(disk.free)} are free.
      </p>
      {disk.leftovers > 0 && (
        <p>
          {bytes(disk.leftovers)} belong to no job: <code>arkor-dev local gc</code> removes them.
        </p>
      )}
      {jobs.length > 0 && (
        <Sizes
          title="Jobs"
          rows={jobs.slice(0, SHOWN).map((job) => ({
            size: job.bytes,
            name: (
              <a href={jobHref(job.id)} onClick={onClose}>
                {clean(displayName(job.name), 120)}
              </a>
            ),
          }))}
        />
      )}
      {jobs.length > SHOWN && <p class="hint">and {number(jobs.length - SHOWN)} smaller ones</p>}
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
