/** Downloads of an export: all files as one archive, or each on its own. */
import { useEffect, useRef, useState } from "preact/hooks";
import { errorText, isAbort, request } from "../../../api/client";
import type { Export, ExportFile } from "../../../contract.gen";
import { saveFile } from "../../../lib/download";
import { bytes } from "../../../lib/format";
import { isObject } from "../../../lib/json";
import { clean } from "../../../lib/text";
import { Button } from "../../../ui/controls/button";
import { ErrorNote } from "../../../ui/empty";
import { crc32, ZIP_LIMIT, type ZipEntry, zipOf } from "./zip";

const LIMIT = 200;
/** Bytes of one request, so that an interruption costs no more than that. */
const PART = 16 * 2 ** 20;
const TRIES = 3;

/** The files with valid names. */
export function filesOf(entry: Export): ExportFile[] {
  const list = Array.isArray(entry.files) ? entry.files : [];
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

const plain = (name: string): string => clean(name, 120).replace(/[/\\]/g, "-");

/** A file's path in the archive: with its subfolders, and never out of the archive's folder. */
export const archived = (name: string): string =>
  name
    .split("/")
    .map(plain)
    .filter((part) => !/^\.{0,2}$/.test(part))
    .join("/");

interface Saving {
  /** The file being downloaded; null for all of them. */
  name: string | null;
  done: number;
}

interface Saver {
  saving: Saving | null;
  error: string;
  /** Downloads a file, or all of them as an archive of this name, and saves it. */
  save: (file: ExportFile | null, archive: string) => Promise<void>;
  stop: () => void;
}

export function useSaver(job: string, entry: Export): Saver {
  const [error, setError] = useState("");
  const [saving, setSaving] = useState<Saving | null>(null);
  const abort = useRef(new AbortController());
  useEffect(() => () => abort.current.abort(), []);
  const save = async (file: ExportFile | null, archive: string): Promise<void> => {
    setError("");
    abort.current = new AbortController();
    const { signal } = abort.current;
    let before = 0;
    const report = (done: number): void => setSaving({ name: file?.name ?? null, done: before + done });
    report(0);
    try {
      const entries: ZipEntry[] = [];
      for (const { name, bytes: size } of file ? [file] : filesOf(entry)) {
        const path = `/jobs/${encodeURIComponent(job)}/exports/${encodeURIComponent(entry.id)}/files/${encodeURIComponent(name)}`;
        let crc = 0;
        const read = async (part: Blob): Promise<void> => {
          if (!file) crc = crc32(new Uint8Array(await part.arrayBuffer()), crc);
        };
        const body = await fetched(path, size, signal, report, read);
        before += size;
        entries.push({ name: archived(name), body, crc });
      }
      if (file) saveFile(plain(file.name), entries[0]!.body);
      else saveFile(archive, zipOf(entries));
    } catch (fault) {
      if (!isAbort(fault)) setError(`The files could not be fetched: ${errorText(fault)}`);
    }
    setSaving(null);
  };
  return { saving, error, save, stop: () => abort.current.abort() };
}

/** Saves all files with one press, if an archive of them can be made. */
export function SaveAll({ entry, archive, saver }: { entry: Export; archive: string; saver: Saver }) {
  const files = filesOf(entry);
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  const [first, more] = files;
  if (!first || total >= ZIP_LIMIT) return null;
  const { saving } = saver;
  if (saving?.name === null || (more === undefined && saving))
    return (
      <>
        <span class="num exports-quiet">
          {bytes(saving.done)} of {bytes(total)}
        </span>
        <Button small onClick={saver.stop}>
          Stop
        </Button>
      </>
    );
  return (
    <Button
      small
      icon="download"
      disabled={saving !== null}
      onClick={() => void saver.save(more === undefined ? first : null, archive)}
    >
      {more === undefined ? "Save" : "Save .zip"} ({bytes(total)})
    </Button>
  );
}

export function Files({ entry, saver }: { entry: Export; saver: Saver }) {
  const { saving, error } = saver;
  return (
    <>
      {error && <ErrorNote error={error} />}
      <ul class="exports-files">
        {filesOf(entry).map((file) => (
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
              <Button small onClick={saver.stop}>
                Stop
              </Button>
            ) : (
              <Button
                small
                disabled={saving !== null}
                onClick={() => void saver.save(file, "")}
                aria-label={`Save ${clean(file.name, 120)}`}
              >
                Save
              </Button>
            )}
          </li>
        ))}
      </ul>
    </>
  );
}

/** A file in parts, each retried after an interruption; `read` gets each part when it arrives. */
export async function fetched(
  path: string,
  size: number,
  signal: AbortSignal,
  report: (done: number) => void,
  read: (part: Blob) => Promise<void> = async () => undefined,
): Promise<Blob> {
  const parts: Blob[] = [];
  let done = 0;
  for (let tries = 0; done < size; ) {
    try {
      const end = Math.min(size, done + PART) - 1;
      const answer = await request(path, { signal, headers: { Range: `bytes=${done}-${end}` } });
      const part = await answer.blob();
      if (answer.status === 200) {
        // A backend without range support sends all of it.
        await read(part);
        return part;
      }
      if (part.size === 0) throw new Error("the backend gave nothing");
      await read(part);
      parts.push(part);
      done += part.size;
      tries = 0;
      report(done);
    } catch (fault) {
      tries += 1;
      if (isAbort(fault) || tries >= TRIES) throw fault;
    }
  }
  return new Blob(parts, { type: "application/octet-stream" });
}
