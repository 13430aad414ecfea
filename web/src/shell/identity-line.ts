import type { CredentialsView } from "../contract.gen";
import { clean } from "../lib/text";

const PRODUCTION = "https://api.arkor.ai";

interface IdentityLine {
  mode: string;
  scope: string;
  /** Null for the production backend, which need not be named. */
  host: string | null;
}

/** The parts of `<mode> · <org>[ / <project>][ · <host>]`, the same line as in the terminal. */
export function identityLine(view: CredentialsView): IdentityLine {
  const mode = view.mode === "anon" ? "anonymous" : clean(view.mode, 20);
  const org = view.orgSlug ? clean(view.orgSlug, 60) : "no organisation";
  const scope = view.projectSlug ? `${org} / ${clean(view.projectSlug, 60)}` : org;
  return { mode, scope, host: view.baseUrl === PRODUCTION ? null : hostOf(view.baseUrl) };
}

function hostOf(url: string): string {
  try {
    const { host } = new URL(url);
    // A local backend without a port is reachable from this machine only, so a host name would say nothing.
    return host === "localhost" ? "this machine" : host;
  } catch {
    return clean(url, 80);
  }
}
