/** The one answer that boot.js has asked for while this code was still on its way; it is taken once. */
declare global {
  var arkorPrefetched: { url: string; answer: Promise<Response> } | undefined;
}

/** The answer to `url` if it was asked for early, else null. */
export function takePrefetched(url: string): Promise<Response> | null {
  const early = globalThis.arkorPrefetched;
  if (early?.url !== url) return null;
  globalThis.arkorPrefetched = undefined;
  return early.answer;
}
