import type { CredentialsView } from "../contract.gen";
import { clean } from "../lib/text";
import { credentials, credentialsError } from "../store/credentials";
import { identityLine } from "./identity-line";

/** Who is signed in, and where. */
export function Identity() {
  const view = credentials.value;
  const error = credentialsError.value;
  if (view) return <Line view={view} />;
  // Only the backend knows that no user is signed in; a failed connection says nothing about it.
  const words = error && (error.status === 401 ? "Not signed in" : "Sign-in unknown");
  return (
    <span class="shell-identity" title={error?.message}>
      {words}
    </span>
  );
}

function Line({ view }: { view: CredentialsView }) {
  const { mode, scope, host } = identityLine(view);
  const signIn = view.signIn ? `\nTo sign in with an account: ${clean(view.signIn, 40)}` : "";
  const title = `${mode ? `${mode} · ` : ""}${scope}\n${clean(view.baseUrl, 200)}\ntoken ${clean(view.token, 40)}${signIn}`;
  return (
    <span class="shell-identity ellipsis" title={title}>
      {mode && <span class="shell-mode">{mode} · </span>}
      {scope}
      {host && <span class="shell-host"> · {host}</span>}
      {view.signIn && (
        <span class="shell-sign-in">
          {" · to sign in: "}
          <code>{clean(view.signIn, 40)}</code>
        </span>
      )}
    </span>
  );
}
