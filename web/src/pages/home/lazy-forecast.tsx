/** Placeholder for a trainer's estimate among the facts; its code is loaded if the backend makes estimates. */
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
  const named = features.value.has("forecast");
  const code = useForecast(named);
  const { config } = trainer;
  if (!named || !config || trainer.problem !== undefined || draftFaults.value > 0) return null;
  // Reserves its column from the start, so that nothing moves when the estimate arrives.
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
