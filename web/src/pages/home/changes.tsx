/** Differences from arkor.toml: they can be used for one run, written into the file, or reset. */
import { useState } from "preact/hooks";
import type { Trainer } from "../../contract.gen";
import { number, plural } from "../../lib/format";
import { datasetName } from "../../lib/job-config-text";
import { late } from "../../lib/late";
import { clean, displayName } from "../../lib/text";
import { jobHref } from "../../router";
import { jobById } from "../../store/jobs";
import { changesOf, changeWords } from "../../store/trainer-changes";
import {
  changesFor,
  drafted,
  draftedFrom,
  draftParent,
  dropDraft,
  dropParent,
  hasOtherData,
} from "../../store/trainer-draft";
import { Button } from "../../ui/controls/button";
import { announce } from "../../ui/controls/live";

const useWrite = late(() => import("./form/write"));

interface Props {
  trainer: Trainer;
  revision: string | undefined;
  /** How many of them are invalid. */
  faults: number;
}

export function Changes({ trainer, revision, faults }: Props) {
  const [writing, setWriting] = useState(false);
  const write = useWrite(writing);
  const count = Object.keys(changesFor(trainer)).length;
  const parent = draftParent(trainer);
  if (count === 0 && !parent) return null;
  const reset = (): void => {
    dropDraft(trainer);
    announce("All settings are as in arkor.toml");
  };
  return (
    <div class="home-note home-note-warn" data-focus-next=".home-edit">
      {count > 0 && (
        <p>
          <strong>{plural(count, "change")} not in arkor.toml:</strong>{" "}
          <bdi>{changeWords(changesOf(trainer, drafted(trainer)))}</bdi>
        </p>
      )}
      <Origin trainer={trainer} />
      <p class="home-note-actions">
        {parent && (
          <Button small onClick={() => dropParent(trainer)}>
            Start from the base model
          </Button>
        )}
        {count > 0 && (
          <>
            {!hasOtherData(trainer) && (
              <Button small disabled={faults > 0 || revision === undefined} onClick={() => setWriting(true)}>
                Write to arkor.toml
              </Button>
            )}
            <Button small kind="quiet" onClick={reset}>
              Reset
            </Button>
          </>
        )}
      </p>
      {write && (
        <write.WriteSettings
          trainer={trainer}
          revision={revision!}
          changes={changesFor(trainer)}
          onClose={() => setWriting(false)}
        />
      )}
    </div>
  );
}

/** Their source job, its settings that cannot be copied, and the checkpoint to start from. */
function Origin({ trainer }: { trainer: Trainer }) {
  const id = draftedFrom(trainer);
  if (id === undefined) return null;
  const parent = draftParent(trainer);
  const job = jobById(id);
  const theirs = job?.config.datasetSource && clean(datasetName(job.config.datasetSource), 120);
  const ours = clean(datasetName(drafted(trainer).config?.datasetSource), 120);
  return (
    <p>
      {parent
        ? `Starts from ${parent.step === undefined ? "the final adapter" : `step ${number(parent.step)}`} of `
        : "Filled in from "}
      <a href={jobHref(id)}>{displayName(job?.name ?? id)}</a>
      {parent ? ", with a fresh optimizer." : "."}
      {theirs !== undefined && theirs !== ours && (
        <>
          {" "}
          It was trained on <bdi>{theirs}</bdi>; this trainer uses <bdi>{ours}</bdi>.
        </>
      )}
    </p>
  );
}
