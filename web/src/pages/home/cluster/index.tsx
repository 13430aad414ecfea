/** Where a training runs: on the cluster that the launch or the file names, or on this machine. It is contacted only on request. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, errorText } from "../../../api/client";
import type { Cluster, NamedCluster } from "../../../contract.gen";
import { clean } from "../../../lib/text";
import { manifest } from "../../../store/manifest";
import { chosenPlacement, configuredCluster } from "../../../store/placement";
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

export function ClusterChoice() {
  const { revision } = manifest.value ?? {};
  useEffect(() => {
    void api<NamedCluster>("/cluster").then(
      (answer) => {
        if (answer.address !== configured.peek()?.address) seen.value = [];
        if (answer.address === null) chosenPlacement.value = undefined;
        configured.value = answer;
        configuredCluster.value = answer.address;
      },
      () => {
        // Without an answer there is no choice; the start reports what is wrong.
      },
    );
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
      {!onThisMachine && (
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
