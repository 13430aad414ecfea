/** Runs that a program wants to start, such as an assistant: a person allows or denies exactly what is shown. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ApiError, api, errorText } from "../api/client";
import type { StartRequest } from "../contract.gen";
import { clean } from "../lib/text";
import { refreshJobs } from "../store/jobs";
import { Button } from "../ui/controls/button";
import { say } from "../ui/controls/live";

/** The longest text of a request, in characters; the server shows no request with a longer one. */
const LONGEST = 1000;

const requests = signal<readonly StartRequest[]>([]);
const answering = signal<ReadonlySet<string>>(new Set());

async function read(): Promise<void> {
  try {
    requests.value = (await api<{ requests: StartRequest[] }>("/start-requests")).requests;
  } catch {
    // The next poll of the jobs has the new count.
  }
}

async function answer({ id, name }: StartRequest, allow: boolean): Promise<void> {
  answering.value = new Set([...answering.peek(), id]);
  try {
    await api(`/start-requests/${encodeURIComponent(id)}`, { method: "POST", body: { allow } });
    say(`${clean(name, 100)}: ${allow ? "allowed" : "denied"}`);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 0)) say(errorText(error));
  }
  await read();
  answering.value = new Set([...answering.peek()].filter((other) => other !== id));
  await refreshJobs();
}

export function StartRequests({ count }: { count: number }) {
  useEffect(() => void read(), [count]);
  return (
    <>
      {requests.value.map((request) => (
        <StartRequestNote key={request.id} request={request} />
      ))}
    </>
  );
}

function StartRequestNote({ request }: { request: StartRequest }) {
  const { client, name, model, data, changes, dryRun, id } = request;
  const busy = answering.value.has(id);
  return (
    <div class="shell-note" role="alert">
      <p>
        <strong>
          {clean(client, 60)} wants to start {dryRun ? "a dry run of" : "training"} {clean(name, LONGEST)}
        </strong>{" "}
        ({clean(model, LONGEST)} on {clean(data, LONGEST)}
        {changes.length === 0 && ", with the trainer's settings"}).
        {changes.length > 0 && " Changed for this run: "}
        {changes.map(([key, value], index) => (
          <>
            {index > 0 && ", "}
            <code>
              {clean(key ?? "", LONGEST)} = {clean(value ?? "", LONGEST)}
            </code>
          </>
        ))}
      </p>
      <span class="shell-answers">
        <Button small busy={busy} onClick={() => void answer(request, true)}>
          Allow
        </Button>
        <Button small busy={busy} onClick={() => void answer(request, false)}>
          Deny
        </Button>
      </span>
    </div>
  );
}
