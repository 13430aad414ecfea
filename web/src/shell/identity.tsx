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
  const host = hostOf(view.baseUrl);
  const parts = [Object.hasOwn(MODES, view.mode) ? MODES[view.mode] : clean(view.mode, 20), scope.join(" / "), host].filter(Boolean);
  return (
    <span class="shell-identity ellipsis" title={`${parts.join(" · ")}\nToken ${clean(view.token, 40)}`}>
      {parts.join(" · ")}
    </span>
  );
}

export function hostOf(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return clean(url, 80);
  }
}
