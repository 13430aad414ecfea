import { useEffect } from "preact/hooks";
import { late } from "../../lib/late";
import { setTitle } from "../../store/document-title";
import { engineAwaited } from "../../store/engine";
import { followManifest, manifest, manifestDetails, manifestError } from "../../store/manifest";
import { poll } from "../../store/poll";
import { isLive, liveRunOf, loadRuns, runs } from "../../store/runs";
import { ErrorNote } from "../../ui/empty";
import { Skeleton } from "../../ui/skeleton";
import { LazyElsewhere } from "./lazy-elsewhere";
import { LazyEngine } from "./lazy-engine";
import { LazyResult, resultOf } from "./lazy-result";
import { LazyRun } from "./lazy-run";
import { Recent } from "./recent";
import { chosenTrainer, TrainerCard, TrainerHead } from "./trainer";
// The styles of lazily loaded parts come with the page: separate requests would cost more than they weigh.
import "./cluster/cluster.css";
import "./elsewhere/elsewhere.css";
import "./engine/engine.css";
import "./form/form.css";
import "./home.css";
import "./live.css";
import "./output.css";

const useFirst = late(() => import("./first"));
const LIVE_MS = 2000;
const REST_MS = 10_000;

export default function Home() {
  const live = runs.value?.some(isLive) ?? false;
  useEffect(() => setTitle("Home"), []);
  useEffect(followManifest, []);
  useEffect(() => {
    const commands = poll(loadRuns, () => (live ? LIVE_MS : REST_MS));
    return () => commands.stop();
  }, [live]);
  return (
    <div class="home" data-focus-next=".home-output .ui-menu button">
      <div class="home-main">
        <LazyEngine />
        <Project />
        <LazyEngine offered />
      </div>
      {!engineAwaited() && <Recent />}
    </div>
  );
}

function Project() {
  const known = manifest.value;
  const error = manifestError.value;
  const first = useFirst(known?.trainers.length === 0);
  if (error) {
    return (
      <>
        <h1 tabIndex={-1}>Couldn't read arkor.toml</h1>
        <div class="home-broken">
          <ErrorNote error={error} details={manifestDetails.value} />
          <p class="hint">Reloads automatically when you save.</p>
        </div>
        <LazyElsewhere />
        <LazyRun />
      </>
    );
  }
  const trainer = known && chosenTrainer(known);
  if (!known || !trainer) {
    return known && first ? (
      <first.First typescript={known.source === "typescript"} />
    ) : (
      <>
        <h1 tabIndex={-1} class="visually-hidden">
          Home
        </h1>
        <Skeleton lines={4} height={22} />
      </>
    );
  }
  const live = liveRunOf(trainer, known);
  const result = live ? undefined : resultOf(trainer);
  const card = (
    <TrainerCard key={trainer.name} known={known} trainer={trainer} live={live} done={result !== undefined} />
  );
  const panel = <LazyRun key="run" live={live} typescript={known.source === "typescript"} />;
  return (
    <>
      <TrainerHead known={known} trainer={trainer} />
      <LazyElsewhere />
      {/* Running jobs come first: nothing is shown until they are known, since it would visibly move. */}
      {engineAwaited() ? null : runs.value === null ? (
        <Skeleton lines={4} height={22} />
      ) : live ? (
        [panel, card]
      ) : (
        [result && <LazyResult key="result" job={result} />, card, panel]
      )}
      <LazyElsewhere paused />
    </>
  );
}
