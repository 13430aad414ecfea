import type { Forecast, JobConfig } from "../../../contract.gen";
import { clean } from "../../../lib/text";
import { Button } from "../../../ui/controls/button";
import { useForecast } from "./use-forecast";
import { forecastWords, shortage } from "./words";

interface Props {
  config: JobConfig;
  /** Takes settings over into what a press would run. */
  apply: (settings: Readonly<Record<string, unknown>>) => void;
}

/** What a run with `config` would take, and what would fit where it does not. */
export function ForecastLine({ config, apply }: Props) {
  const { forecast, cancelled, cancel, again } = useForecast(config);
  if (cancelled) {
    return (
      <>
        No estimate.{" "}
        <Button small kind="quiet" onClick={again}>
          Estimate now
        </Button>
      </>
    );
  }
  switch (forecast?.state) {
    case "measured":
      return (
        <>
          <span class="num">{forecastWords(forecast)}</span>
          <Shortage forecast={forecast} apply={apply} />
        </>
      );
    case "measuring":
      return (
        <>
          <span class="num">{progressWords(forecast)}</span>{" "}
          <Button small kind="quiet" onClick={cancel}>
            Cancel estimate
          </Button>
        </>
      );
    case "waiting":
      return <>The estimate runs when no job is training.</>;
    case "failed":
      return <>No estimate: {clean(forecast.error ?? "no reason given", 300)}</>;
  }
  return null;
}

function progressWords({ progress }: Forecast): string {
  const what = "Estimating time and memory";
  if (!progress) return `${what} …`;
  if (progress.unit !== "steps" || !progress.total)
    return `${what}: ${clean(progress.label, 80).toLowerCase()} …`;
  return `${what}: step ${progress.done} of ${progress.total}`;
}

function Shortage({ forecast, apply }: { forecast: Forecast; apply: Props["apply"] }) {
  const short = shortage(forecast);
  if (short === null) return null;
  const fixes = (forecast.fixes ?? []).slice(0, 4);
  return (
    <span class="home-short" role="status">
      <strong>Not enough memory.</strong> {short}{" "}
      {fixes.length > 0 ? "It fits with" : "Choose a smaller model, or close other programs."}
      {fixes.map(({ settings, words }) => (
        <Button key={words} small onClick={() => apply(settings)}>
          {clean(words, 200)}
        </Button>
      ))}
    </span>
  );
}
