/** The only access to the daemon: every call carries the page's token, every error becomes an `ApiError`. */
import { useEffect, useState } from "preact/hooks";
import { CURSOR_HEADER, FROM_HEADER, STALE_HEADER, STUDIO_TOKEN_HEADER } from "../contract.gen";
import { daemonAnswered, daemonGone, tokenExpired } from "./connection";
import { noticed } from "./deprecation";
import { takePrefetched } from "./prefetch";

export { CURSOR_HEADER, FROM_HEADER, STALE_HEADER };

export class ApiError extends Error {
  /** The HTTP status, or 0 if the daemon was unreachable. */
  readonly status: number;
  /** Other fields of the error, such as `run` on a 409 of `POST /api/train`. */
  readonly extra: Readonly<Record<string, unknown>>;

  /** The answer's ETag, for a later conditional request. */
  readonly etag: string;

  constructor(status: number, text: string, extra: Readonly<Record<string, unknown>> = {}, etag = "") {
    super(text);
    this.name = "ApiError";
    this.status = status;
    this.extra = extra;
    this.etag = etag;
  }
}

export interface Options {
  method?: "GET" | "POST" | "PATCH" | "DELETE";
  /** Sent as JSON. */
  body?: unknown;
  /** Sent unchanged. */
  file?: Blob | FormData;
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

const token =
  typeof document === "undefined"
    ? ""
    : (document.querySelector<HTMLMetaElement>('meta[name="arkor-studio-token"]')?.content ?? "");

const MAX_ERROR = 2000;

/**
 * The raw response, for streams and headers. Throws `ApiError` for every status from 400 on and for an unreachable
 * daemon; an abort stays a `DOMException` named `AbortError`.
 */
export async function request(path: string, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = { [STUDIO_TOKEN_HEADER]: token, ...options.headers };
  const init: RequestInit = { method: options.method ?? "GET", headers, cache: "no-store" };
  if (options.signal) init.signal = options.signal;
  if (options.body !== undefined) {
    headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(options.body);
  }
  if (options.file) init.body = options.file;
  let response: Response;
  try {
    const url = `/api${path}`;
    const early = init.method === "GET" ? takePrefetched(url) : null;
    response = await (early ? early.catch(() => fetch(url, init)) : fetch(url, init));
  } catch (error) {
    if (isAbort(error)) throw error;
    daemonGone();
    throw new ApiError(0, "Studio is not answering. It may have been stopped in the terminal.");
  }
  daemonAnswered();
  noticed(response.headers);
  if (response.status >= 400) throw await asError(response);
  return response;
}

/** The response's JSON, typed by the contract. */
export async function api<T>(path: string, options: Options = {}): Promise<T> {
  const response = await request(path, options);
  return (await response.json()) as T;
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** One line for the page from any thrown value. */
export function errorText(error: unknown): string {
  return error instanceof Error && error.message ? error.message : String(error);
}

interface Attempts {
  busy: boolean;
  error: string | null;
  setError: (error: string | null) => void;
  attempt: (work: () => Promise<unknown>) => Promise<void>;
}

/** A request that a person makes: whether it is under way, and why the last one failed. */
export function useAttempt(): Attempts {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const attempt = async (work: () => Promise<unknown>): Promise<void> => {
    setBusy(true);
    setError(null);
    try {
      await work();
    } catch (fault) {
      setError(errorText(fault));
    } finally {
      setBusy(false);
    }
  };
  return { busy, error, setError, attempt };
}

interface Read<T> {
  /** Null until it has arrived. */
  answer: T | null;
  error: string | null;
  retry: () => void;
}

/** What `read` returns, requested again when `inputs` change. */
export function useAnswer<T>(read: (signal: AbortSignal) => Promise<T>, inputs: readonly unknown[]): Read<T> {
  const [answer, setAnswer] = useState<T | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [tries, setTries] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    setError(null);
    read(stop.signal).then(setAnswer, (fault: unknown) => {
      if (!stop.signal.aborted) setError(errorText(fault));
    });
    return () => stop.abort();
  }, [...inputs, tries]);
  return { answer, error, retry: () => setTries(tries + 1) };
}

async function asError(response: Response): Promise<ApiError> {
  const body = await response.text().catch(() => "");
  const { text, extra } = parseError(body, response.status, response.statusText);
  if (response.status === 403 && /studio token/i.test(text)) tokenExpired();
  return new ApiError(response.status, text, extra, response.headers.get("ETag") ?? "");
}

/** The message in an error's body, whatever its shape. */
export function parseError(
  body: string,
  status: number,
  statusText: string,
): { text: string; extra: Record<string, unknown> } {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === "object" && parsed !== null && "error" in parsed) {
      const { error, ...extra } = parsed as Record<string, unknown>;
      const text = typeof error === "string" ? error : JSON.stringify(error);
      return { text: text.slice(0, MAX_ERROR), extra };
    }
  } catch {
    // Not JSON: the body is the text.
  }
  const plain = body.trim().slice(0, MAX_ERROR);
  return { text: plain || `The daemon answered ${status} ${statusText}`.trim(), extra: {} };
}
