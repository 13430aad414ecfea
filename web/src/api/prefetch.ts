/** The response that boot.js requested while this code was loading; used once. */
declare global {
  var arkorPrefetched: { url: string; answer: Promise<Response> } | undefined;
}

/** The answer to `url` if it was requested early, else null. */
export function takePrefetched(url: string): Promise<Response> | null {
  const early = globalThis.arkorPrefetched;
  if (early?.url !== url) return null;
  globalThis.arkorPrefetched = undefined;
  return early.answer;
}
