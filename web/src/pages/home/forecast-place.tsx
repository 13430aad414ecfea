/** Where a trainer's forecast stands; its code is loaded where the backend makes forecasts. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Trainer } from "../../contract.gen";
import { features } from "../../store/features";
import { placeConfig } from "../../store/place";
import { applySettings, drafted, draftFaults } from "../../store/trainer-draft";

const line = signal<typeof import("./forecast").ForecastLine | null>(null);

export function ForecastPlace({ trainer, dryRun }: { trainer: Trainer; dryRun: boolean }) {
  const named = features.value.has("forecast");
  useEffect(() => {
    if (!named || line.peek()) return;
    void import("./forecast").then(({ ForecastLine }) => {
      line.value = ForecastLine;
    });
  }, [named]);
  const { config } = drafted(trainer);
  if (!named || !config || trainer.problem !== undefined || draftFaults.value > 0) return null;
  const Line = line.value;
  // A paragraph from the start on: what is below must not move when the forecast comes.
  return (
    <div class="home-forecast">
      {Line && (
        <Line
          key={trainer.name}
          config={{ ...config, ...placeConfig(), ...(dryRun && { dryRun: true }) }}
          apply={(settings) => applySettings(trainer, settings)}
        />
      )}
    </div>
  );
}
