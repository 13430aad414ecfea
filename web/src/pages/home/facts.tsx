/** What a start would do, in four facts: the model, the data, the length, and the estimate. */
import type { ComponentChildren } from "preact";
import { DEFAULT_EPOCHS, type JobConfig, type Trainer } from "../../contract.gen";
import { modelName, plural } from "../../lib/format";
import { datasetName, settings } from "../../lib/job-config-text";
import { clean } from "../../lib/text";
import { href } from "../../router";
import { features } from "../../store/features";
import { LazyForecast } from "./lazy-forecast";

interface Props {
  /** For the current settings, including changes. */
  trainer: Trainer;
  quick: boolean;
  apply: (settings: Readonly<Record<string, unknown>>) => void;
}

export function Facts({ trainer, quick, apply }: Props) {
  const config = trainer.config!;
  const source = clean(datasetName(config.datasetSource), 200);
  const data = features.value.has("datasets") && (
    <a href={href("/data", { trainer: trainer.name })}>View data</a>
  );
  return (
    <div class="home-facts">
      <Fact name="Base model" note={how(config)}>
        <bdi>{clean(modelName(config.model), 200)}</bdi>
      </Fact>
      {trainer.rows === undefined ? (
        <Fact name="Data set" note={data}>
          <bdi>{source}</bdi>
        </Fact>
      ) : (
        <Fact
          name="Data set"
          note={
            <>
              <bdi>{source}</bdi>
              {trainer.unreadable ? ` · ${plural(trainer.unreadable, "row")} invalid` : ""}
              {data && <> · {data}</>}
            </>
          }
        >
          {plural(trainer.rows, "example")}
        </Fact>
      )}
      <Fact name="Training" note={rateOf(config)}>
        {extent(config)}
      </Fact>
      <LazyForecast trainer={trainer} quick={quick} apply={apply} />
    </div>
  );
}

export function Fact({
  name,
  children,
  note,
}: {
  name: string;
  children: ComponentChildren;
  note?: ComponentChildren;
}) {
  return (
    <dl class="figures home-fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
      {note && <dd class="home-fact-note">{note}</dd>}
    </dl>
  );
}

function how({ fullFineTuning, loraR }: JobConfig): string {
  if (fullFineTuning) return "Full fine-tuning";
  return loraR === undefined ? "LoRA" : `LoRA rank ${loraR}`;
}

function extent({ maxSteps, numTrainEpochs }: JobConfig): string {
  if (maxSteps !== undefined && maxSteps > 0) return plural(maxSteps, "step");
  return plural(numTrainEpochs ?? DEFAULT_EPOCHS, "epoch");
}

function rateOf({ learningRate }: JobConfig): string {
  if (learningRate === undefined) return "Automatic learning rate";
  return `Learning rate ${settings({ learningRate } as JobConfig)[0]?.value ?? ""}`;
}
