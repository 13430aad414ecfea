import type { CredentialsView } from "../contract.gen";
import { clean } from "../lib/text";

const PRODUCTION = "https://api.arkor.ai";

interface IdentityLine {
  /** Null where nobody signs in, on this machine or over ssh: only the project and the machine say something. */
  mode: string | null;
  scope: string;
  /** Null for the production backend, which need not be named. */
  host: string | null;
}

/** The parts of `<mode> · <org>[ / <project>][ · <host>]`, or of `<project> · <machine>`. */
export function identityLine(view: CredentialsView): IdentityLine {
  const machine = view.mode === "anon" ? machineOf(view.baseUrl) : null;
  if (machine !== null && view.projectSlug)
    return { mode: null, scope: clean(view.projectSlug, 60), host: machine };
  const mode = view.mode === "anon" ? "anonymous" : clean(view.mode, 20);
  const org = view.orgSlug ? clean(view.orgSlug, 60) : "no organisation";
  const scope = view.projectSlug ? `${org} / ${clean(view.projectSlug, 60)}` : org;
  return { mode, scope, host: view.baseUrl === PRODUCTION ? null : hostOf(view.baseUrl) };
}

/** The machine of a backend that no network reaches: its address has no port, or is ssh's. Null for others. */
function machineOf(url: string): string | null {
  try {
    const { protocol, host } = new URL(url);
    return protocol === "ssh:" || host === "localhost" ? hostOf(url) : null;
  } catch {
    return null;
  }
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
