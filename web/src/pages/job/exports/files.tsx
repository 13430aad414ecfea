/** The files of an export, each to be saved from the page. */
import { useEffect, useRef, useState } from "preact/hooks";
import { errorText, isAbort, request } from "../../../api/client";
import type { Export, ExportFile } from "../../../contract.gen";
import { saveFile } from "../../../lib/download";
import { bytes } from "../../../lib/format";
import { isObject } from "../../../lib/json";
import { clean } from "../../../lib/text";
import { Button } from "../../../ui/controls/button";
import { ErrorNote } from "../../../ui/empty";

const LIMIT = 200;
/** Bytes that are asked for at once, so that a cut costs no more than that. */
const PART = 16 * 2 ** 20;
const TRIES = 3;

/** The files that can be named. */
export function filesOf(one: Export): ExportFile[] {
  const list = Array.isArray(one.files) ? one.files : [];
  return list
    .filter(
      (file) =>
        isObject(file) &&
        typeof file.name === "string" &&
        Number.isSafeInteger(file.bytes) &&
        file.bytes >= 0,
    )
    .slice(0, LIMIT);
}

export function Files({ job, one }: { job: string; one: Export }) {
  const files = filesOf(one);
  const [error, setError] = useState("");
  const [saving, setSaving] = useState<{ name: string; done: number } | null>(null);
  const stop = useRef(new AbortController());
  useEffect(() => () => stop.current.abort(), []);
  const save = async (file: ExportFile): Promise<void> => {
    setError("");
    setSaving({ name: file.name, done: 0 });
    stop.current = new AbortController();
    const path = `/jobs/${encodeURIComponent(job)}/exports/${encodeURIComponent(one.id)}/files/${encodeURIComponent(file.name)}`;
    try {
      const whole = await fetched(path, file.bytes, stop.current.signal, (done) =>
        setSaving({ name: file.name, done }),
      );
      saveFile(clean(file.name, 120).replace(/[/\\]/g, "-"), whole);
    } catch (fault) {
      if (!isAbort(fault)) setError(`${clean(file.name, 120)} could not be fetched: ${errorText(fault)}`);
    }
    setSaving(null);
  };
  return (
    <details class="chart-statistics">
      <summary>
        {files.length} {files.length === 1 ? "file" : "files"}
      </summary>
      {error && <ErrorNote error={error} />}
      <ul class="exports-files">
        {files.map((file) => (
          <li key={file.name}>
            <span class="exports-name" title={clean(file.sha256, 80)}>
              {clean(file.name, 120)}
            </span>
            <span class="num exports-quiet">
              {saving?.name === file.name
                ? `${bytes(saving.done)} of ${bytes(file.bytes)}`
                : bytes(file.bytes)}
            </span>
            {saving?.name === file.name ? (
              <Button small onClick={() => stop.current.abort()}>
                Stop
              </Button>
            ) : (
              <Button
                small
                disabled={saving !== null}
                onClick={() => save(file)}
                aria-label={`Save ${clean(file.name, 120)}`}
              >
                Save
              </Button>
            )}
          </li>
        ))}
      </ul>
    </details>
  );
}

/** A file in parts, each tried again after a cut. */
export async function fetched(
  path: string,
  size: number,
  signal: AbortSignal,
  told: (done: number) => void,
): Promise<Blob> {
  const parts: Blob[] = [];
  let done = 0;
  for (let tries = 0; done < size; ) {
    try {
      const end = Math.min(size, done + PART) - 1;
      const answer = await request(path, { signal, headers: { Range: `bytes=${done}-${end}` } });
      const part = await answer.blob();
      if (answer.status === 200) return part; // a backend without ranges gives all of it
      if (part.size === 0) throw new Error("the backend gave nothing");
      parts.push(part);
      done += part.size;
      tries = 0;
      told(done);
    } catch (fault) {
      tries += 1;
      if (isAbort(fault) || tries >= TRIES) throw fault;
    }
  }
  return new Blob(parts, { type: "application/octet-stream" });
}
