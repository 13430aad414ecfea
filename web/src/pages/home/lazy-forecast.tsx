/** A trainer's estimate among the facts, loaded if the backend makes estimates. */
import type { Trainer } from "../../contract.gen";
import { late } from "../../lib/late";
import { features } from "../../store/features";
import { placementConfig } from "../../store/placement";
import { draftFaults } from "../../store/trainer-draft";

const useForecast = late(() => import("./forecast"));

interface Props {
  trainer: Trainer;
  quick: boolean;
  apply: (settings: Readonly<Record<string, unknown>>) => void;
}

export function LazyForecast({ trainer, quick, apply }: Props) {
  const offered = features.value.has("forecast");
  const code = useForecast(offered);
  const { config } = trainer;
  if (!offered || !config || trainer.problem !== undefined || draftFaults.value > 0) return null;
  // Its own column from the start: nothing may move when the estimate arrives.
  return code ? (
    <code.ForecastFact
      key={trainer.name}
      config={{ ...config, ...placementConfig(), ...(quick && { dryRun: true }) }}
      apply={apply}
    />
  ) : (
    <dl class="home-fact home-forecast" />
  );
}
