/** Who is signed in where, for the line in the bar. */
import { computed, signal } from "@preact/signals";
import { api, errorText } from "../api";
import type { CredentialsView } from "../contract.gen";

export const credentials = signal<CredentialsView | null>(null);
export const credentialsError = signal<string | null>(null);

/** The project as one word; undefined until it is known, and where none has been made yet. */
export const project = computed(() => {
  const { orgSlug, projectSlug } = credentials.value ?? {};
  return projectSlug ? `${orgSlug}/${projectSlug}` : undefined;
});

export async function loadCredentials(): Promise<void> {
  try {
    credentials.value = await api<CredentialsView>("/credentials");
    credentialsError.value = null;
  } catch (error) {
    credentialsError.value = errorText(error);
  }
}
