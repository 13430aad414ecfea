import type { Forecast, JobConfig } from "../../../contract.gen";
import { clean } from "../../../lib/text";
import { Button } from "../../../ui/controls/button";
import { useForecast } from "./use-forecast";
import { forecastNotes, progressWords, shortage, timeWords } from "./words";

interface Props {
  config: JobConfig;
  /** Applies settings to the next run. */
  apply: (settings: Readonly<Record<string, unknown>>) => void;
}

/** The estimate of a run with `config`, and settings that fit if it does not. */
export function ForecastFact({ config, apply }: Props) {
  const { forecast, cancelled, cancel, again } = useForecast(config);
  const known = !cancelled && forecast?.state === "measured";
  return (
    <>
      <dl class="figures home-fact home-forecast num">
        <dt>Estimate</dt>
        <dd>{known && typeof forecast.seconds === "number" ? timeWords(forecast.seconds) : "–"}</dd>
        <dd class="home-fact-note">
          {cancelled ? (
            <Button small kind="quiet" onClick={again}>
              Estimate now
            </Button>
          ) : (
            <Note forecast={forecast} byEpochs={config.maxSteps === undefined} cancel={cancel} />
          )}
        </dd>
      </dl>
      {known && <Shortage forecast={forecast} apply={apply} />}
    </>
  );
}

function Note({
  forecast,
  byEpochs,
  cancel,
}: {
  forecast: Forecast | null;
  byEpochs: boolean;
  cancel: () => void;
}) {
  switch (forecast?.state) {
    case "measured":
      return <>{forecastNotes(forecast, byEpochs).join(" · ")}</>;
    case "measuring":
      return (
        <>
          {progressWords(forecast)}{" "}
          <Button small kind="quiet" onClick={cancel}>
            Cancel estimate
          </Button>
        </>
      );
    case "waiting":
      return <>Available when the machine is idle</>;
    case "failed":
      return <>No estimate: {clean(forecast.error ?? "no reason given", 300)}</>;
  }
  return null;
}

function Shortage({ forecast, apply }: { forecast: Forecast; apply: Props["apply"] }) {
  const short = shortage(forecast);
  if (short === null) return null;
  const fixes = (forecast.fixes ?? []).slice(0, 4);
  return (
    <div class="home-short home-note home-note-warn" role="status">
      <p>
        <strong>Not enough memory.</strong> {short}{" "}
        {fixes.length > 0 ? "It fits with:" : "Choose a smaller model, or close other programs."}
      </p>
      {fixes.length > 0 && (
        <p class="home-note-actions">
          {fixes.map(({ settings, words }) => (
            <Button key={words} small onClick={() => apply(settings)}>
              {clean(words, 200)}
            </Button>
          ))}
        </p>
      )}
    </div>
  );
}
