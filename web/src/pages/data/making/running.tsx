/** A making run in progress, or its end: figures, and links to pause, resume and judge. */
import { api, useAttempt } from "../../../api/client";
import type { Making, SettingsWritten } from "../../../contract.gen";
import { number, plural } from "../../../lib/format";
import { clean, displayName } from "../../../lib/text";
import { href } from "../../../router";
import { manifest, reloadManifest } from "../../../store/manifest";
import { Button } from "../../../ui/controls/button";
import { say } from "../../../ui/controls/live";
import { ErrorNote } from "../../../ui/empty";
import { droppedWords, isActive, stateWords } from "./draft";

interface Props {
  making: Making;
  pause: () => void;
  resume: (() => void) | null;
}

export function Running({ making, pause, resume }: Props) {
  const { passages, done, rows, inputTokens, outputTokens, budgetTokens, budgetMoney, money } = making;
  const active = isActive(making);
  const dropped = droppedWords(making.dropped);
  return (
    <section class="making-run" aria-labelledby="making-run">
      <h2 id="making-run">
        <bdi>{clean(making.file, 200)}</bdi>
      </h2>
      <p class="dim" role="status">
        {clean(stateWords(making), 300)}
      </p>
      {making.error !== null && <ErrorNote error={making.error} />}
      <progress max={Math.max(1, passages)} value={done} aria-label="Done" />
      <dl class="figures making-figures num">
        <div>
          <dt>Rows made</dt>
          <dd>{number(rows)}</dd>
        </div>
        <div>
          <dt>Done</dt>
          <dd>
            {number(done)} <small>of {number(passages)}</small>
          </dd>
        </div>
        <div>
          <dt>Tokens</dt>
          <dd>
            {number(inputTokens + outputTokens)}{" "}
            {budgetTokens !== null && <small>of {number(budgetTokens)}</small>}
          </dd>
        </div>
        <div>
          <dt>{money > 0 || budgetMoney !== null ? "Money" : "Requests"}</dt>
          <dd>
            {money > 0 || budgetMoney !== null ? (
              <>
                {number(money, 2)} {budgetMoney !== null && <small>of {number(budgetMoney, 2)}</small>}
              </>
            ) : (
              number(making.requests)
            )}
          </dd>
        </div>
      </dl>
      <p class="hint">
        By {clean(making.model, 100)} at {clean(making.host, 100)}
        {dropped && `. Dropped: ${clean(dropped, 300)}`}.
      </p>
      {making.leftOut.slice(0, 10).map((sentence) => (
        <p key={sentence} class="hint">
          Left out: {clean(sentence, 300)}
        </p>
      ))}
      <div class="row">
        {active ? (
          <Button busy={making.state === "pausing"} onClick={pause}>
            Pause
          </Button>
        ) : (
          done < passages &&
          resume && <Button onClick={resume}>{making.state === "done" ? "Ask again" : "Resume"}</Button>
        )}
        {!active && rows > 0 && <Judge file={making.file} rows={rows} />}
      </div>
    </section>
  );
}

/** Adds the file to a trainer's data set, where its rows are judged; until they are accepted none is trained on. */
function Judge({ file, rows }: { file: string; rows: number }) {
  const { busy, error, attempt } = useAttempt();
  const trainers = manifest.value?.trainers ?? [];
  const revision = manifest.value?.revision;
  const holder = trainers.find((trainer) =>
    JSON.stringify(trainer.config?.datasetSource ?? "").includes(file),
  );
  const first = trainers[0];
  if (holder)
    return (
      <a class="ui-button ui-button-primary" href={href("/data", { trainer: holder.name, judge: "made" })}>
        Judge {plural(rows, "row")}
      </a>
    );
  if (!first || revision === undefined) return null;
  const add = (): Promise<void> =>
    attempt(async () => {
      const body = { trainer: first.name, revision, file };
      await api<SettingsWritten>("/making/dataset", { method: "POST", body });
      await reloadManifest();
      say(`${file} is in the data of ${first.name}`);
      location.hash = href("/data", { trainer: first.name, judge: "made" });
    });
  return (
    <>
      <Button kind="primary" busy={busy} onClick={() => void add()}>
        Add to {displayName(first.name)} and judge
      </Button>
      {error !== null && <ErrorNote error={error} />}
    </>
  );
}
