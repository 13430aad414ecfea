/** One stream per job, shared by all components; it is closed some time after the last is unmounted. */
import { useEffect, useMemo } from "preact/hooks";
import { JobStream } from "./stream";

const CLOSE_DELAY_MS = 20_000;
const openStreams = new Map<
  string,
  {
    stream: JobStream;
    users: number;
    timer?: ReturnType<typeof setTimeout> | undefined;
    /** Whether it has continued since the list last reported that the job had ended; undefined before such a report. */
    again?: boolean | undefined;
  }
>();
/** What the list last reported, also of a job whose stream is opened later. */
let hasEnded: (id: string) => boolean | undefined = () => undefined;

function streamOf(id: string): JobStream {
  let known = openStreams.get(id);
  if (known === undefined) {
    known = { stream: new JobStream(id), users: 0, again: hasEnded(id) ? false : undefined };
    openStreams.set(id, known);
  }
  return known.stream;
}

function retain(id: string): () => void {
  streamOf(id);
  const known = openStreams.get(id)!;
  known.users++;
  clearTimeout(known.timer);
  return () => {
    if (--known.users > 0) return;
    known.timer = setTimeout(() => {
      known.stream.close();
      openStreams.delete(id);
    }, CLOSE_DELAY_MS);
  };
}

/** Reopens the streams of jobs that were over and have been resumed. `isOver`: undefined for a job not in the list. */
export function reopenStreams(isOver: (id: string) => boolean | undefined): void {
  hasEnded = isOver;
  for (const [id, known] of openStreams) {
    const over = isOver(id);
    if (over) known.again = false;
    // The list may lag behind the events: once is enough, and only a list that had the end withdraws it.
    else if (over === false && !known.again && known.stream.reopen(known.again === false)) known.again = true;
  }
}

/** Resolves when a job's history has been read, or has failed. */
export function historyLoaded(id: string): Promise<void> {
  const { state } = streamOf(id);
  return new Promise((resolve) => {
    const stop = state.subscribe((now) => {
      if (now === "loading") return;
      resolve();
      queueMicrotask(() => stop());
    });
  });
}

/** The streams of these jobs, while the component is mounted. The first render already requests the history. */
export function useStreams(ids: readonly string[]): readonly JobStream[] {
  const key = ids.join("\n");
  const streams = useMemo(() => ids.map(streamOf), [key]);
  useEffect(() => {
    const leave = ids.map(retain);
    return () => {
      for (const go of leave) go();
    };
  }, [key]);
  return streams;
}

export function useStream(id: string): JobStream {
  return useStreams([id])[0]!;
}
