import type { CredentialsView } from "../contract.gen";
import { credentials, credentialsError } from "../store/credentials";
import { clean } from "../text";
import { identityLine } from "./identity-line";

/** Who is signed in where. */
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
  return <Line view={view} />;
}

function Line({ view }: { view: CredentialsView }) {
  const { mode, scope, host } = identityLine(view);
  const title = `${mode} · ${scope}\n${clean(view.baseUrl, 200)}\ntoken ${clean(view.token, 40)}`;
  return (
    <span class="shell-identity ellipsis" title={title}>
      <span class="shell-mode">{mode} · </span>
      {scope}
      {host && <span class="shell-host"> · {host}</span>}
    </span>
  );
}
