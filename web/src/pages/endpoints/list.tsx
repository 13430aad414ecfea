/** All endpoints in one table. */
import { fullName } from "../../chat/targets";
import type { Deployment } from "../../contract.gen";
import { clean } from "../../lib/text";
import { href } from "../../router";
import { jobs } from "../../store/jobs";
import { RelativeTime } from "../../ui/time";
import { placeOf } from "./address";
import { fromWire } from "./model";

export function EndpointList({ list }: { list: readonly Deployment[] }) {
  return (
    <table class="ep-table">
      <thead>
        <tr>
          <th scope="col">Endpoint</th>
          <th scope="col">State</th>
          <th scope="col">Serves</th>
          <th scope="col">Access</th>
          <th scope="col" class="ep-time">
            Changed
          </th>
        </tr>
      </thead>
      <tbody>
        {list.map((endpoint) => (
          <Row key={endpoint.id} deployment={endpoint} />
        ))}
      </tbody>
    </table>
  );
}

function StateWord({ enabled }: { enabled: boolean }) {
  return (
    <span class={enabled ? "ep-state ep-state-on" : "ep-state"}>
      <svg width="10" height="10" viewBox="0 0 10 10" aria-hidden="true" focusable="false">
        <circle cx="5" cy="5" r="3.5" />
      </svg>
      {enabled ? "On" : "Off"}
    </span>
  );
}

/** An endpoint's target as text; an unknown kind is shown unchanged. */
export function targetWords(deployment: Deployment): string {
  const target = fromWire(deployment.target);
  return target ? fullName(target, jobs.value) : `An unknown target (${clean(deployment.target?.kind, 40)})`;
}

const accessWords = (mode: string): string =>
  mode === "fixed_api_key" ? "API key" : mode === "none" ? "Open to all" : clean(mode, 40);

function Row({ deployment }: { deployment: Deployment }) {
  const { id, slug, enabled, authMode, updatedAt, expiresAt } = deployment;
  return (
    <tr>
      <td>
        <a class="ep-link" href={href("/endpoints", { id })}>
          <span class="ep-slug">{clean(slug, 60)}</span>
          <span class="mono hint">{placeOf(clean(slug, 60))}</span>
        </a>
      </td>
      <td data-label="State">
        <StateWord enabled={enabled} />
        {expiresAt && (
          <span class="hint">
            {" "}
            ends <RelativeTime at={expiresAt} />
          </span>
        )}
      </td>
      <td data-label="Serves" class="ep-serves" dir="auto">
        {targetWords(deployment)}
      </td>
      <td data-label="Access">
        <span class={authMode === "none" ? "ep-open" : undefined}>{accessWords(authMode)}</span>
      </td>
      <td data-label="Changed" class="ep-time dim num">
        <RelativeTime at={updatedAt} />
      </td>
    </tr>
  );
}
