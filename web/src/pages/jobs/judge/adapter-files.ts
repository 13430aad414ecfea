/** The two files of an adapter among those of a folder that a person has chosen or dropped. */

export const CONFIG = "adapter_config.json";
export const WEIGHTS = "adapter_model.safetensors";
const PICKLED = "adapter_model.bin";
const MAX_CONFIG = 1 << 20;

/** A file and its path below the chosen folder: `outputs/adapter_config.json`. */
export interface Chosen {
  path: string;
  file: File;
}

export interface Adapter {
  name: string;
  config: File;
  weights: File;
  /** The base model that its settings name; null for none. */
  base: string | null;
}

/** The adapter nearest to the top; throws an `Error` that says what is missing. */
export async function adapterIn(files: readonly Chosen[]): Promise<Adapter> {
  const depth = ({ path }: Chosen): number => path.split("/").length;
  const config = files.filter(({ file }) => file.name === CONFIG).sort((a, b) => depth(a) - depth(b))[0];
  if (!config)
    throw new Error(`There is no ${CONFIG}: choose a folder that PEFT's save_pretrained has written.`);
  const folder = config.path.slice(0, -CONFIG.length);
  const at = (name: string): File | undefined => files.find(({ path }) => path === folder + name)?.file;
  const weights = at(WEIGHTS);
  if (!weights)
    throw new Error(
      at(PICKLED)
        ? `Its weights are pickled (${PICKLED}), and such a file can run any program when it is loaded. Save the adapter again with PEFT's save_pretrained, which writes safetensors.`
        : `There is no ${WEIGHTS} beside its ${CONFIG}.`,
    );
  return {
    name: folder.split("/").at(-2) ?? "adapter",
    config: config.file,
    weights,
    base: await baseOf(config.file),
  };
}

async function baseOf(config: File): Promise<string | null> {
  if (config.size > MAX_CONFIG) return null;
  try {
    const base: unknown = (JSON.parse(await config.text()) as Record<string, unknown>)
      .base_model_name_or_path;
    return typeof base === "string" && base.trim() ? base : null;
  } catch {
    return null; // the backend says what is wrong with it
  }
}

/** The files chosen in an `<input webkitdirectory>`. */
export const chosenIn = (files: readonly File[]): Chosen[] =>
  files.map((file) => ({ path: file.webkitRelativePath || file.name, file }));

const MOST_FILES = 200;

/** The dropped files, and those in dropped folders down to the second level. */
export async function filesOf(entries: readonly (FileSystemEntry | null)[]): Promise<Chosen[]> {
  const files: Chosen[] = [];
  const walk = async (entry: FileSystemEntry, level: number): Promise<void> => {
    if (files.length >= MOST_FILES) return;
    if (entry.isFile) {
      const file = await new Promise<File>((done, fail) => (entry as FileSystemFileEntry).file(done, fail));
      files.push({ path: entry.fullPath.slice(1), file });
    } else if (entry.isDirectory && level < 2) {
      const reader = (entry as FileSystemDirectoryEntry).createReader();
      const inside = await new Promise<FileSystemEntry[]>((done, fail) => reader.readEntries(done, fail));
      for (const child of inside) await walk(child, level + 1);
    }
  };
  for (const entry of entries) if (entry) await walk(entry, 0);
  return files;
}
