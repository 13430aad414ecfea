/** Who is signed in where, for the line in the bar. */
import { signal } from "@preact/signals";
import { api, errorText } from "../api";
import type { CredentialsView } from "../contract.gen";

export const credentials = signal<CredentialsView | null>(null);
export const credentialsError = signal<string | null>(null);

export async function loadCredentials(): Promise<void> {
  try {
    credentials.value = await api<CredentialsView>("/credentials");
    credentialsError.value = null;
  } catch (error) {
    credentialsError.value = errorText(error);
  }
}
