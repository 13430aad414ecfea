/** Deletes the chosen row from the adapter of a job that trained on this data set. */
import { useState } from "preact/hooks";
import { api, useAttempt } from "../../../api/client";
import type { Job, Trainer } from "../../../contract.gen";
import { number } from "../../../lib/format";
import { isObject } from "../../../lib/json";
import { displayName } from "../../../lib/text";
import { go, jobHref } from "../../../router";
import { jobs, refreshJobs } from "../../../store/jobs";
import { Button } from "../../../ui/controls/button";
import { Select } from "../../../ui/controls/switch";
import { Dialog } from "../../../ui/dialog";
import { ErrorNote } from "../../../ui/empty";

interface Props {
  trainer: Trainer;
  row: number;
  onClose: () => void;
}

export function DeleteFromAdapter({ trainer, row, onClose }: Props) {
  const wanted = pathsOf(trainer.config?.datasetSource);
  const able = jobs.value.filter(
    ({ config, status }) => status === "completed" && pathsOf(config?.datasetSource) === wanted,
  );
  const [chosen, setChosen] = useState(able[0]?.id ?? "");
  const { busy, error, attempt } = useAttempt();
  const begin = (): Promise<void> =>
    attempt(async () => {
      const path = `/jobs/${encodeURIComponent(chosen)}/forget`;
      const { job } = await api<{ job: Job }>(path, { method: "POST", body: { rows: [String(row)] } });
      await refreshJobs();
      onClose();
      go(jobHref(job.id));
    });
  return (
    <Dialog title={`Delete row ${number(row)} from an adapter`} onClose={onClose}>
      {able.length === 0 ? (
        <p>No completed job trained on this data set.</p>
      ) : (
        <div style={{ display: "grid", gap: "12px" }}>
          <label>
            Job{" "}
            <Select
              value={chosen}
              options={able.map(({ id, name }) => [id, displayName(name)])}
              onChange={setChosen}
            />
          </label>
          <p>
            Trains the adapter again from before it first used the row, as a new job. Its weights are those of
            a training without the row. Its page then says where the row's text still is.
          </p>
          <p class="hint">The old job and the row in the file stay until you delete them.</p>
        </div>
      )}
      {error !== null && <ErrorNote error={error} />}
      <div class="ui-dialog-actions">
        <Button data-focus onClick={onClose}>
          Back
        </Button>
        {able.length > 0 && (
          <Button kind="primary" busy={busy} onClick={() => void begin()}>
            Train without it
          </Button>
        )}
      </div>
    </Dialog>
  );
}

/** The files of a data set, to tell whether two are the same; empty for those from elsewhere. */
function pathsOf(source: unknown): string {
  if (!isObject(source)) return "";
  const parts: unknown[] = Array.isArray(source.sources) ? source.sources : [source];
  return parts
    .map((part) => (isObject(part) ? String(part.path ?? part.name ?? part.url ?? "") : ""))
    .join("\n");
}
