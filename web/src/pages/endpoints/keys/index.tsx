/** The API keys of an endpoint: issue, revoke, and the last use of each. */
import { useEffect, useRef, useState } from "preact/hooks";
import { errorText } from "../../../api/client";
import type { Deployment, DeploymentKey } from "../../../contract.gen";
import { clean } from "../../../lib/text";
import { poll } from "../../../store/poll";
import { Button } from "../../../ui/controls/button";
import { announce } from "../../../ui/controls/live";
import { confirm } from "../../../ui/dialog";
import { ErrorNote } from "../../../ui/empty";
import { Skeleton } from "../../../ui/skeleton";
import { RelativeTime } from "../../../ui/time";
import { listKeys, revokeKey } from "../store";
import { IssueKey } from "./issue-key";

const EVERY_MS = 15_000;

export function Keys({ deployment }: { deployment: Deployment }) {
  const { id, authMode } = deployment;
  const [keys, setKeys] = useState<readonly DeploymentKey[] | null>(null);
  const [error, setError] = useState<string | null>(null);
  const read = async (): Promise<void> => {
    try {
      setKeys(await listKeys(id));
      setError(null);
    } catch (fault) {
      setError(errorText(fault));
    }
  };
  useEffect(() => poll(read, () => EVERY_MS).stop, [id]);

  const heading = useRef<HTMLHeadingElement>(null);
  const revoke = async (key: DeploymentKey, button: HTMLElement): Promise<void> => {
    const label = clean(key.label, 80);
    const question = {
      title: `Revoke “${label}”?`,
      text: "Callers with this key are refused at once. It cannot be undone.",
      action: "Revoke key",
      danger: true,
    };
    if (!(await confirm(question))) return;
    try {
      await revokeKey(id, key.id);
      // The focused button is removed, on some backends together with its row.
      if (document.activeElement === button || document.activeElement === document.body) {
        const row = button.closest("tr");
        const next = (row?.nextElementSibling ?? row?.previousElementSibling)?.querySelector("button");
        (next ?? heading.current)?.focus();
      }
      announce(`Key ${label} revoked`);
      await read();
    } catch (fault) {
      setError(errorText(fault));
    }
  };
  return (
    <section class="ep-section" aria-labelledby="ep-keys">
      <h2 id="ep-keys" ref={heading} tabIndex={-1}>
        API keys
      </h2>
      {authMode === "none" && (
        <p class="dim">This endpoint is open to all: keys are not checked until its access is changed.</p>
      )}
      {error && (
        <ErrorNote title="The keys could not be read or changed" error={error} retry={() => void read()} />
      )}
      {keys === null && !error && <Skeleton lines={2} />}
      {keys?.length === 0 && authMode !== "none" && <p class="dim">No API keys yet.</p>}
      {keys !== null && keys.length > 0 && (
        <KeyTable keys={keys} revoke={(key, button) => void revoke(key, button)} />
      )}
      <IssueKey id={id} onIssued={() => void read()} />
    </section>
  );
}

interface TableProps {
  keys: readonly DeploymentKey[];
  revoke: (key: DeploymentKey, button: HTMLElement) => void;
}

function KeyTable({ keys, revoke }: TableProps) {
  return (
    <table class="ep-table ep-keys">
      <thead>
        <tr>
          <th scope="col">Label</th>
          <th scope="col">Key</th>
          <th scope="col">Created</th>
          <th scope="col">Last used</th>
          <th scope="col">
            <span class="visually-hidden">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {keys.map((key) => (
          <tr key={key.id} class={key.enabled === false ? "ep-revoked" : undefined}>
            <td class="ep-label" dir="auto">
              {clean(key.label, 80)}
            </td>
            <td data-label="Key" class="mono dim">
              {clean(key.prefix, 40)}…
            </td>
            <td data-label="Created" class="dim">
              <RelativeTime at={key.createdAt} />
            </td>
            <td data-label="Last used" class="dim">
              {key.lastUsedAt ? <RelativeTime at={key.lastUsedAt} /> : "Never"}
            </td>
            <td class="ep-row-end">
              {key.enabled !== false ? (
                <Button
                  small
                  kind="quiet"
                  aria-label={`Revoke ${clean(key.label, 80)}`}
                  onClick={(event) => revoke(key, event.currentTarget)}
                >
                  Revoke
                </Button>
              ) : (
                <span class="ep-gone">Revoked</span>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
