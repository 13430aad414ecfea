/** Where the backend serves an endpoint: through this Studio (feature `serving`), or at its own address. */
import { features } from "../../store/features";

export const servedHere = (): boolean => features.value.has("serving");

/** The base URL for clients. */
export const baseUrlOf = (slug: string): string =>
  servedHere() ? `${location.origin}/e/${slug}/v1` : `https://${slug}.arkor.app/v1`;

/** The same, as short as possible. */
export const placeOf = (slug: string): string =>
  servedHere() ? `${location.host}/e/${slug}` : `${slug}.arkor.app`;

/** Who can call an endpoint without a key. */
export const openToWords = (): string =>
  servedHere()
    ? "Every program on this machine can call it. Web pages cannot."
    : "Anyone who knows the address can call it.";
