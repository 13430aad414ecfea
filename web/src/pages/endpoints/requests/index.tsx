/** The requests of an endpoint's callers: totals, one line each, and the text of those that are kept. */
import "./requests.css";
import { useEffect, useState } from "preact/hooks";
import { api, errorText } from "../../../api/client";
import type { Deployment, EndpointRequest, EndpointRequests, EndpointTotals } from "../../../contract.gen";
import { duration, number, rate } from "../../../lib/format";
import { clean } from "../../../lib/text";
import { poll } from "../../../store/poll";
import { Button } from "../../../ui/controls/button";
import { ErrorNote } from "../../../ui/empty";
import { Skeleton } from "../../../ui/skeleton";
import { RelativeTime } from "../../../ui/time";
import { KeptText } from "./kept-text";

const EVERY_MS = 5_000;
const CLIENT_CLOSED = 499;

const pathOf = (id: string): string => `/deployments/${encodeURIComponent(id)}/requests`;
/** With the precision of a comparison: 210 ms, 1.8 s, 31 s. */
function seconds(value: number | null): string {
  if (value === null) return "–";
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  return value < 10 ? `${value.toFixed(1)} s` : duration(value * 1000);
}

export function Requests({ deployment }: { deployment: Deployment }) {
  const { id, runRetentionMode } = deployment;
  const [newest, setNewest] = useState<EndpointRequests | null>(null);
  const [older, setOlder] = useState<{ requests: readonly EndpointRequest[]; more: boolean } | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [opened, setOpened] = useState<string | null>(null);
  const read = async (): Promise<void> => {
    try {
      setNewest(await api<EndpointRequests>(pathOf(id)));
      setError(null);
    } catch (fault) {
      setError(errorText(fault));
    }
  };
  // Stored texts change with the retention, so don't offer deleted ones.
  useEffect(() => poll(read, () => EVERY_MS).stop, [id, runRetentionMode]);
  const known = new Map(
    [...(older?.requests ?? []), ...(newest?.requests ?? [])].map((entry) => [entry.id, entry]),
  );
  const list = [...known.values()].sort((a, b) => Number(b.id) - Number(a.id));
  const more = older ? older.more : (newest?.more ?? false);
  const readOlder = async (): Promise<void> => {
    const last = list.at(-1);
    if (!last) return;
    try {
      const page = await api<EndpointRequests>(`${pathOf(id)}?before=${encodeURIComponent(last.id)}`);
      // Visible ones stay, even if newer ones push them out of the newest page.
      setOlder({ requests: [...list, ...page.requests], more: page.more });
    } catch (fault) {
      setError(errorText(fault));
    }
  };
  return (
    <section class="ep-section" aria-labelledby="ep-requests">
      <h2 id="ep-requests">Requests</h2>
      {error && <ErrorNote title="The requests could not be read" error={error} retry={() => void read()} />}
      {newest === null && !error && <Skeleton lines={3} />}
      {newest !== null && list.length === 0 && <p class="dim">Nobody has called this endpoint yet.</p>}
      {newest !== null && list.length > 0 && (
        <>
          <Totals totals={newest.totals} />
          <table class="ep-table ep-requests">
            <thead>
              <tr>
                <th scope="col">When</th>
                <th scope="col">Outcome</th>
                <th scope="col">Key</th>
                <th scope="col" class="ep-number">
                  Tokens
                </th>
                <th scope="col" class="ep-number">
                  Time
                </th>
                <th scope="col">
                  <span class="visually-hidden">Text</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {list.map((request) => (
                <Row
                  key={request.id}
                  request={request}
                  opened={opened === request.id}
                  onToggle={() => setOpened(opened === request.id ? null : request.id)}
                  deployment={deployment}
                />
              ))}
            </tbody>
          </table>
          {more && (
            <p>
              <Button small onClick={() => void readOlder()}>
                Show older requests
              </Button>
            </p>
          )}
        </>
      )}
    </section>
  );
}

/** Totals of the newest requests, as a strip. */
function Totals({ totals }: { totals: EndpointTotals }) {
  const { requests, errors, tokensPerSecond, medianSeconds, slowSeconds } = totals;
  const figures: [string, string][] = [
    ["Requests", number(requests)],
    ["Errors", number(errors)],
    ["Tokens/s", tokensPerSecond === null ? "–" : rate(tokensPerSecond)],
    ["Median time", seconds(medianSeconds)],
    ["95 % within", seconds(slowSeconds)],
  ];
  return (
    <dl class="ep-totals">
      {figures.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class="num">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

interface RowProps {
  request: EndpointRequest;
  opened: boolean;
  onToggle: () => void;
  deployment: Deployment;
}

function Row({ request, opened, onToggle, deployment }: RowProps) {
  const { at, key, promptTokens, completionTokens, firstTokenSeconds, kept, error } = request;
  const first = firstTokenSeconds === null ? undefined : `First token after ${seconds(firstTokenSeconds)}`;
  const text = `ep-text-${request.id}`;
  return (
    <>
      <tr>
        <td class="dim">
          <RelativeTime at={at} />
        </td>
        <td data-label="Outcome">
          <span class={request.status < 400 ? undefined : "ep-failed"}>{outcomeOf(request)}</span>
          {error !== undefined && <span class="hint ep-why">{clean(error, 300)}</span>}
        </td>
        <td data-label="Key" class="mono dim">
          {key === null ? "–" : `${clean(key, 40)}…`}
        </td>
        <td data-label="Tokens" class="ep-number num">
          <span class="dim">{number(promptTokens)} →</span> {number(completionTokens)}
        </td>
        <td data-label="Time" class="ep-number num" title={first}>
          {seconds(request.seconds)}
        </td>
        <td class="ep-row-end">
          {kept && (
            <Button
              small
              kind="quiet"
              aria-expanded={opened}
              aria-controls={text}
              aria-label={opened ? "Hide the text" : "Show the text"}
              onClick={onToggle}
            >
              {opened ? "Hide" : "Text"}
            </Button>
          )}
        </td>
      </tr>
      {kept && opened && (
        <tr class="ep-text-row">
          <td colSpan={6} id={text}>
            <KeptText path={`${pathOf(deployment.id)}/${request.id}`} deployment={deployment} />
          </td>
        </tr>
      )}
    </>
  );
}

/** How a request ended, as text. */
function outcomeOf({ status, stream }: EndpointRequest): string {
  if (status < 400) return stream ? "Streamed" : "Answered";
  if (status === CLIENT_CLOSED) return "Caller left";
  if (status === 429) return "Too many requests";
  return status === 401 ? "Wrong key" : `Refused (${status})`;
}
