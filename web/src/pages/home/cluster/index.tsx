/** Where a training runs: on the cluster that the launch or the file names, or on this machine. It is contacted only on request. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, errorText } from "../../../api/client";
import type { Cluster, NamedCluster } from "../../../contract.gen";
import { clean } from "../../../lib/text";
import { manifest } from "../../../store/manifest";
import { chosenPlacement, configuredCluster, needsTrust, untrusted } from "../../../store/placement";
import { Button } from "../../../ui/controls/button";
import { Chips } from "../../../ui/controls/switch";
import { clusterWords } from "./words";

const configured = signal<NamedCluster | null>(null);
const seen = signal<readonly string[]>([]);
const looking = signal(false);

async function look(): Promise<void> {
  looking.value = true;
  try {
    seen.value = clusterWords((await api<{ cluster: Cluster }>("/cluster/look", { method: "POST" })).cluster);
  } catch (error) {
    seen.value = [errorText(error)];
  } finally {
    looking.value = false;
  }
}

const trustError = signal<string | null>(null);
const trusting = signal(false);

function keep(answer: NamedCluster): void {
  if (answer.address !== configured.peek()?.address) seen.value = [];
  if (answer.address === null) chosenPlacement.value = undefined;
  configured.value = answer;
  configuredCluster.value = answer.address;
  untrusted.value = answer.untrusted;
  trustError.value = null;
}

async function trust(): Promise<void> {
  trusting.value = true;
  try {
    keep(await api<NamedCluster>("/cluster/trust", { method: "POST", body: { names: untrusted.peek() } }));
  } catch (error) {
    const text = errorText(error);
    await api<NamedCluster>("/cluster").then(keep, () => undefined); // the file may name another one now
    trustError.value = text;
  } finally {
    trusting.value = false;
  }
}

/** Asks for consent to what the file names, in full. */
function Trust() {
  return (
    <div id="home-trust" class="home-note home-note-warn">
      <p>
        <strong>arkor.toml names</strong>{" "}
        {untrusted.value.map((name, position) => (
          <span key={name}>
            {position > 0 && " and "}
            <bdi>{clean(name, 1000)}</bdi>
          </span>
        ))}
        . A training sends the project's data there, and your Ray token to a cluster that requires one. Do you
        trust this project with that?
      </p>
      {trustError.value !== null && <p role="alert">{trustError.value}</p>}
      <p class="home-note-actions">
        <Button small busy={trusting.value} onClick={() => void trust()}>
          Trust this cluster
        </Button>
      </p>
    </div>
  );
}

export function ClusterChoice() {
  const { revision } = manifest.value ?? {};
  useEffect(() => {
    void api<NamedCluster>("/cluster").then(keep, () => {
      // Without an answer there is no choice; the start reports what is wrong.
    });
  }, [revision]);
  const { address, insecure } = configured.value ?? {};
  if (typeof address !== "string") return null;
  const onThisMachine = chosenPlacement.value === "here";
  return (
    <div class="home-cluster">
      <Chips
        label="Run on"
        items={[
          { value: "cluster", label: `Cluster ${clean(address, 300)}` },
          { value: "here", label: "This machine" },
        ]}
        value={onThisMachine ? "here" : "cluster"}
        onChange={(value) => {
          chosenPlacement.value = value === "here" ? "here" : undefined;
        }}
      />
      {needsTrust() && <Trust />}
      {!onThisMachine && !untrusted.value.includes(address) && (
        <>
          {insecure && (
            <p class="home-cluster-open" role="alert">
              <strong>Insecure:</strong> this cluster is used even without a token. Anyone who can reach it
              can run programs on it, and read the data and the model that are sent there.
            </p>
          )}
          <div class="home-cluster-seen" role="status">
            {seen.value.map((words) => (
              <p key={words}>
                <bdi>{words}</bdi>
              </p>
            ))}
          </div>
          <Button small kind="quiet" busy={looking.value} onClick={() => void look()}>
            {seen.value.length > 0 ? "Refresh" : "Show free resources"}
          </Button>
        </>
      )}
    </div>
  );
}
