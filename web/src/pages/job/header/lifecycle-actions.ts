/** Pausing, resuming and extending a job: the actions, and why the last one failed. */
import { useState } from "preact/hooks";
import type { Action } from "../../../actions/actions";
import { errorText } from "../../../api/client";
import type { Job } from "../../../contract.gen";
import { number } from "../../../lib/format";
import { features } from "../../../store/features";
import { actOnJob } from "../../../store/jobs";
import { announce, say } from "../../../ui/controls/live";
import { openExtend } from "./open-extend";
import { unlessChanged } from "./unless-changed";

interface Lifecycle {
  pause: Action;
  resume: Action;
  extend: Action;
  busy: boolean;
  fault: { title: string; error: string } | null;
}

export function useLifecycle(id: string, job: Job | undefined, status: string): Lifecycle {
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<Lifecycle["fault"]>(null);
  const attempt = async (title: string, action: () => Promise<void>): Promise<void> => {
    setBusy(true);
    setFault(null);
    try {
      await action();
    } catch (error) {
      setFault({ title, error: errorText(error) });
    } finally {
      setBusy(false);
    }
  };
  return {
    pause: {
      name: "job.pause",
      label: "Pause this job",
      keys: "s",
      when: () => status === "running" && features.value.has("pause"),
      run: () =>
        void attempt("The job was not paused", async () => {
          announce("Pausing after the current step");
          const { pause } = (await actOnJob(id, "pause")) ?? {};
          announce(pause ? `Paused after step ${number(pause.step)}` : "Paused");
        }),
    },
    resume: {
      name: "job.resume",
      label: "Resume this job",
      keys: "s",
      when: () => couldResume(job, status) && features.value.has("resume"),
      run: () =>
        void attempt("The job was not resumed", async () => {
          if (await unlessChanged("Resume", (force) => actOnJob(id, "resume", force))) say("Job resumed");
        }),
    },
    extend: {
      name: "job.extend",
      label: "Extend this job",
      when: () => status === "completed" && job?.resumable !== undefined && features.value.has("extend"),
      run: () => void openExtend(job!),
    },
    busy,
    fault,
  };
}

function couldResume(job: Job | undefined, status: string): boolean {
  if (status === "paused") return true;
  return (status === "failed" || status === "cancelled") && job?.resumable !== undefined;
}
