/** Where a trainer's forecast stands; its code is loaded where the backend makes forecasts. */
import type { Trainer } from "../../contract.gen";
import { late } from "../../lib/late";
import { features } from "../../store/features";
import { placeConfig } from "../../store/place";
import { applySettings, drafted, draftFaults } from "../../store/trainer-draft";

const useForecast = late(() => import("./forecast"));

export function ForecastPlace({ trainer, dryRun }: { trainer: Trainer; dryRun: boolean }) {
  const named = features.value.has("forecast");
  const code = useForecast(named);
  const { config } = drafted(trainer);
  if (!named || !config || trainer.problem !== undefined || draftFaults.value > 0) return null;
  // A paragraph from the start on: what is below must not move when the forecast comes.
  return (
    <div class="home-forecast">
      {code && (
        <code.ForecastLine
          key={trainer.name}
          config={{ ...config, ...placeConfig(), ...(dryRun && { dryRun: true }) }}
          apply={(settings) => applySettings(trainer, settings)}
        />
      )}
    </div>
  );
}
