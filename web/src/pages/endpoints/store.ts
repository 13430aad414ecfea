/** The project's endpoints, polled while visible, and the calls that change them. */
import { signal } from "@preact/signals";
import { api, errorText } from "../../api/client";
import type { Deployment, DeploymentKey } from "../../contract.gen";
import { poll } from "../../store/poll";
import type { AuthMode, Retention, RetentionMode } from "./model";

const EVERY_MS = 10_000;

interface EndpointsState {
  loaded: boolean;
  error: string | null;
  /** The backend does not support endpoints. */
  absent: boolean;
  /** The project does not exist on the backend yet. */
  scopeMissing: boolean;
}

export const deployments = signal<readonly Deployment[]>([]);
export const endpointsState = signal<EndpointsState>({
  loaded: false,
  error: null,
  absent: false,
  scopeMissing: false,
});

const path = (id: string, more = ""): string => `/deployments/${encodeURIComponent(id)}${more}`;

/** Counts changes: a list requested before a change is outdated on arrival. */
let changes = 0;

export async function refresh(): Promise<void> {
  const before = changes;
  try {
    const answer = await api<{ deployments: Deployment[]; scopeMissing?: boolean; unsupported?: boolean }>(
      "/deployments",
    );
    if (before !== changes) return;
    const { loaded, absent } = endpointsState.peek();
    // The endpoints existed a moment ago and do not all vanish at once: treat this response as a failure.
    if (answer.unsupported && loaded && !absent)
      throw new Error("The backend answered as if it had no endpoints.");
    deployments.value = [...answer.deployments].sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
    endpointsState.value = {
      loaded: true,
      error: null,
      absent: answer.unsupported === true,
      scopeMissing: answer.scopeMissing === true,
    };
  } catch (error) {
    endpointsState.value = { ...endpointsState.peek(), error: errorText(error) };
  }
}

/** Polls the list until the returned function is called. */
export function watchEndpoints(): () => void {
  return poll(refresh, () => EVERY_MS).stop;
}

function put(deployment: Deployment): Deployment {
  changes += 1;
  const others = deployments.peek().filter((existing) => existing.id !== deployment.id);
  deployments.value = [deployment, ...others].sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  return deployment;
}

interface NewEndpoint {
  slug: string;
  target: Deployment["target"];
  authMode: AuthMode;
  runRetentionMode?: RetentionMode;
  runRetentionDays?: number;
}

export async function createEndpoint(body: NewEndpoint): Promise<Deployment> {
  return put((await api<{ deployment: Deployment }>("/deployments", { method: "POST", body })).deployment);
}

export type EndpointChange = Partial<Pick<Deployment, "target" | "authMode" | "enabled" | "engine">> &
  Partial<Retention>;

export async function updateEndpoint(id: string, body: EndpointChange): Promise<Deployment> {
  return put((await api<{ deployment: Deployment }>(path(id), { method: "PATCH", body })).deployment);
}

/** Why the endpoint's target can't answer now; the list does not say. */
export async function troubleOf(id: string, signal: AbortSignal): Promise<string | null> {
  const { deployment } = await api<{ deployment: Deployment }>(path(id), { signal });
  return typeof deployment.trouble === "string" && deployment.trouble !== "" ? deployment.trouble : null;
}

export async function deleteEndpoint(id: string): Promise<void> {
  await api(path(id), { method: "DELETE" });
  changes += 1;
  deployments.value = deployments.peek().filter((existing) => existing.id !== id);
}

export async function listKeys(id: string): Promise<DeploymentKey[]> {
  return (await api<{ keys: DeploymentKey[] }>(path(id, "/keys"))).keys;
}

/** The only response with the key itself. */
export async function createKey(id: string, label: string): Promise<{ label: string; plaintext: string }> {
  const { key } = await api<{ key: DeploymentKey & { plaintext: string } }>(path(id, "/keys"), {
    method: "POST",
    body: { label },
  });
  return key;
}

export async function revokeKey(id: string, keyId: string): Promise<void> {
  await api(path(id, `/keys/${encodeURIComponent(keyId)}`), { method: "DELETE" });
}
