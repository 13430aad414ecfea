import type { CredentialsView } from "../contract.gen";
import { credentials, credentialsError } from "../store/credentials";
import { clean } from "../text";

const MODES: Readonly<Record<string, string>> = { anon: "anonymous", oauth: "account", auth0: "account", local: "this machine" };

/** `anonymous · org / project · host` */
export function Identity() {
  const view = credentials.value;
  if (!view) {
    return credentialsError.value ? (
      <span class="shell-identity" title={credentialsError.value}>
        Not signed in
      </span>
    ) : (
      <span class="shell-identity" />
    );
  }
  const scope = [view.orgSlug, view.projectSlug].filter(Boolean).map((slug) => clean(slug, 60));
  const host = isEmbedded(view) ? "this machine" : hostOf(view.baseUrl);
  const mode = Object.hasOwn(MODES, view.mode) ? MODES[view.mode] : clean(view.mode, 20);
  const title = [mode, scope.join(" / "), clean(view.baseUrl, 200), `token ${clean(view.token, 40)}`].filter(Boolean).join(" · ");
  return (
    <span class="shell-identity ellipsis" title={title}>
      <span class="shell-mode">{mode} · </span>
      {scope.length > 0 ? scope.join(" / ") : "no project yet"}
      <span class="shell-host"> · {host}</span>
    </span>
  );
}

/** The embedded backend listens on this machine alone and calls its one organisation local. */
function isEmbedded(view: CredentialsView): boolean {
  return view.orgSlug === "local" && /^https?:\/\/(127\.0\.0\.1|localhost|\[::1\])(:|\/|$)/.test(view.baseUrl);
}

export function hostOf(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return clean(url, 80);
  }
}
