/** Who is signed in, for the line in the bar. */
import { computed, signal } from "@preact/signals";
import { type ApiError, api } from "../api/client";
import { connection } from "../api/connection";
import type { CredentialsView } from "../contract.gen";
import { askWhenever } from "./ask-whenever";

export const credentials = signal<CredentialsView | null>(null);
export const credentialsError = signal<ApiError | null>(null);

/** The project as one word; undefined until it is known, and if none exists yet. */
export const project = computed(() => {
  const { orgSlug, projectSlug } = credentials.value ?? {};
  return projectSlug ? `${orgSlug}/${projectSlug}` : undefined;
});

/** Requests them now and, until they are known, whenever the connection to the backend changes. */
export function loadCredentials(): void {
  askWhenever(() => connection.value !== "gone" && !credentials.peek(), ask);
}

async function ask(): Promise<void> {
  try {
    credentials.value = await api<CredentialsView>("/credentials");
    credentialsError.value = null;
  } catch (error) {
    credentialsError.value = error as ApiError;
  }
}
