/** An uncompressed ZIP archive: weights don't compress. Layout: PKWARE's APPNOTE.TXT 6.3.3. */

export interface ZipEntry {
  name: string;
  body: Blob;
  crc: number;
}

/** Without ZIP64 an archive, and each file in it, is smaller than this many bytes. */
export const ZIP_LIMIT = 2 ** 32 - 2 ** 20;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** Continues the CRC-32 `crc` with more bytes; starts at 0. */
export function crc32(bytes: Uint8Array, crc = 0): number {
  let now = ~crc;
  for (const byte of bytes) now = TABLE[(now ^ byte) & 0xff]! ^ (now >>> 8);
  return ~now >>> 0;
}

const VERSION = 20;
const UTF8_NAMES = 1 << 11;
/** 1 January 1980: the earliest possible date, since the real one is unknown. */
const DATE = 0x21;

/** The archive; its parts stay in the browser's storage. */
export function zipOf(entries: readonly ZipEntry[]): Blob {
  const parts: BlobPart[] = [];
  const directory: BlobPart[] = [];
  let offset = 0;
  let directorySize = 0;
  for (const { name, body, crc } of entries) {
    const path = new TextEncoder().encode(name);
    // Flags, method, time, date, CRC-32, both sizes, and the lengths of the name and of extra fields.
    const facts = (view: DataView, at: number): void => {
      view.setUint16(at, VERSION, true);
      view.setUint16(at + 2, UTF8_NAMES, true);
      view.setUint16(at + 8, DATE, true);
      view.setUint32(at + 10, crc, true);
      view.setUint32(at + 14, body.size, true);
      view.setUint32(at + 18, body.size, true);
      view.setUint16(at + 22, path.length, true);
    };
    const local = record(30, 0x04034b50, (view) => facts(view, 4));
    parts.push(local, path, body);
    directory.push(
      record(46, 0x02014b50, (view) => {
        view.setUint16(4, VERSION, true);
        facts(view, 6);
        view.setUint32(42, offset, true);
      }),
      path,
    );
    offset += local.length + path.length + body.size;
    directorySize += 46 + path.length;
  }
  const end = record(22, 0x06054b50, (view) => {
    view.setUint16(8, entries.length, true);
    view.setUint16(10, entries.length, true);
    view.setUint32(12, directorySize, true);
    view.setUint32(16, offset, true);
  });
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}

function record(length: number, signature: number, fill: (view: DataView) => void): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, signature, true);
  fill(view);
  return bytes;
}
