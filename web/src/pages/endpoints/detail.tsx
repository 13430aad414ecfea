/** One endpoint: its target, its access, how to call it, and how to delete it. */
import { useEffect, useState } from "preact/hooks";
import { errorText } from "../../api/client";
import type { Deployment } from "../../contract.gen";
import { clean } from "../../lib/text";
import { href } from "../../router";
import { jobById } from "../../store/jobs";
import { poll } from "../../store/poll";
import { CopyButton } from "../../ui/controls/copy";
import { announce } from "../../ui/controls/live";
import { Switch } from "../../ui/controls/switch";
import { ErrorNote } from "../../ui/empty";
import { RelativeTime } from "../../ui/time";
import { baseUrlOf } from "./address";
import { Delete } from "./editing/delete";
import { EditAccess, EditEngine, EditRetention, EditTarget } from "./editing/edit";
import { Keys } from "./keys";
import { fromWire } from "./model";
import { QuickStart } from "./quickstart";
import { callOf } from "./quickstart/snippets";
import { LazyRequests } from "./requests/lazy";
import { Stale } from "./stale";
import { type EndpointChange, troubleOf, updateEndpoint } from "./store";

const LOOK_MS = 10_000;

export function Detail({ deployment }: { deployment: Deployment }) {
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const trouble = useTrouble(deployment);
  const slug = clean(deployment.slug, 60);
  /** Whether the backend accepted the change. */
  const change = async (body: EndpointChange, message: string): Promise<boolean> => {
    setBusy(true);
    setError(null);
    try {
      await updateEndpoint(deployment.id, body);
      announce(message);
      return true;
    } catch (fault) {
      setError(errorText(fault));
      return false;
    } finally {
      setBusy(false);
    }
  };
  const url = baseUrlOf(slug);
  const target = fromWire(deployment.target);
  const method = target && target.kind !== "base" ? jobById(target.jobId)?.config?.method : null;
  const call = callOf(method);
  return (
    <div class="ep ep-detail">
      <header class="ep-top">
        <div class="ep-title">
          <p class="ep-back">
            <a href={href("/endpoints")}>Endpoints</a>
          </p>
          <h1 tabIndex={-1}>{slug}</h1>
          <p class="ep-url mono">
            {url} <CopyButton small text={url} label="Copy address" />
          </p>
        </div>
        <Switch
          checked={deployment.enabled}
          busy={busy}
          label={deployment.enabled ? "On" : "Off"}
          hint={deployment.enabled ? "Answers callers" : "Answers 404"}
          onChange={(enabled) => void change({ enabled }, enabled ? "Endpoint on" : "Endpoint off")}
        />
      </header>
      <Stale />
      {trouble && <ErrorNote title="This endpoint can't answer" error={trouble} />}
      {error && <ErrorNote title="The endpoint was not changed" error={error} />}
      <div class="ep-columns">
        <div>
          <Keys deployment={deployment} />
          <QuickStart slug={slug} auth={deployment.authMode} method={method} />
        </div>
        <dl class="ep-facts">
          <div class="ep-fact">
            <dt>{call.label}</dt>
            <dd class="ep-address">
              <span class="mono">{url + call.path}</span>
              <CopyButton
                small
                class="ep-change"
                text={url + call.path}
                label={`Copy the URL of ${call.label.toLowerCase()}`}
              />
            </dd>
          </div>
          <EditTarget deployment={deployment} change={change} />
          {deployment.engine && (
            <EditEngine deployment={deployment} engine={deployment.engine} change={change} />
          )}
          <EditAccess deployment={deployment} change={change} />
          <EditRetention deployment={deployment} change={change} />
          <div class="ep-fact">
            <dt>Created</dt>
            <dd>
              <RelativeTime at={deployment.createdAt} />
            </dd>
          </div>
          {deployment.expiresAt && (
            <div class="ep-fact">
              <dt>Ends</dt>
              <dd>
                <RelativeTime at={deployment.expiresAt} />
              </dd>
            </div>
          )}
        </dl>
      </div>
      <LazyRequests deployment={deployment} />
      <Delete deployment={deployment} />
    </div>
  );
}

/** Why the endpoint can't answer, checked from time to time: its job's files may be deleted meanwhile. */
function useTrouble({ id, updatedAt }: Deployment): string | null {
  const [trouble, setTrouble] = useState<string | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    const look = async (): Promise<void> => {
      try {
        setTrouble(await troubleOf(id, stop.signal));
      } catch {
        // The list is polled, too, and reports errors.
      }
    };
    const polling = poll(look, () => LOOK_MS);
    return () => {
      stop.abort();
      polling.stop();
    };
  }, [id, updatedAt]);
  return trouble;
}
