/** A trainer's data as its model sees it, row by row and token by token. */
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { DatasetView, JobConfig, Manifest, Trainer } from "../../contract.gen";
import { late } from "../../lib/late";
import { clean, displayName } from "../../lib/text";
import { href, route, setQuery } from "../../router";
import { setTitle } from "../../store/document-title";
import { features } from "../../store/features";
import { jobs } from "../../store/jobs";
import { followManifest, manifest, manifestError, trainerNamed, trainerOfJob } from "../../store/manifest";
import { drafted } from "../../store/trainer-draft";
import { Select } from "../../ui/controls/switch";
import { Empty, ErrorNote } from "../../ui/empty";
import { Skeleton } from "../../ui/skeleton";
import { DropFile, UseFile } from "../home/use-file";
import { Dataset, Progress } from "./shown";
import { OpenedView } from "./view";
import "./data.css";

const useMapping = late(() => import("./mapping"));
const useMaking = late(() => import("./making"));

export default function Data() {
  const known = manifest.value;
  useEffect(() => setTitle("Data"), []);
  useEffect(followManifest, []);
  const makes = route.value.query.get("make") !== null;
  const making = useMaking(makes);
  if (makes)
    return (
      <div class="data">
        {making ? (
          <making.MakeRows key={route.value.query.get("make")} />
        ) : (
          <Skeleton lines={8} height={20} />
        )}
      </div>
    );
  return <div class="data">{body(known)}</div>;
}

/** Links: to make rows from documents or like the row on screen, and to the last job's harmful rows. */
function Ways({ trainer }: { trainer: string }) {
  const row = route.value.query.get("row") ?? "1";
  const job = features.value.has("attribution")
    ? jobs.value.find(({ name, status }) => status === "completed" && trainerOfJob(name)?.name === trainer)
    : undefined;
  return (
    <p class="data-ways">
      <a class="ui-button ui-button-plain ui-button-small" href={href("/data", { make: "documents" })}>
        Make rows from documents
      </a>
      <a
        class="ui-button ui-button-small ui-button-quiet"
        href={href("/data", { make: "rows", trainer, row })}
      >
        More like this row
      </a>
      {job && (
        <a class="ui-button ui-button-small ui-button-quiet" href={href(`/jobs/${job.id}`)}>
          Look for rows that hurt
        </a>
      )}
    </p>
  );
}

function body(known: Manifest | null) {
  const wanted = route.value.query.get("trainer") ?? undefined;
  const title = <h1 tabIndex={-1}>Data</h1>;
  if (features.value.size > 0 && !features.value.has("datasets")) {
    return (
      <>
        {title}
        <Empty title="This backend can't show data sets.">
          Studio on this machine does: <code>arkor-dev --local</code>
        </Empty>
      </>
    );
  }
  if (manifestError.value) {
    return (
      <>
        {title}
        <ErrorNote title="Couldn't read arkor.toml" error={manifestError.value} />
      </>
    );
  }
  if (!known) {
    return (
      <>
        {title}
        <Skeleton lines={8} height={20} />
      </>
    );
  }
  const trainer = trainerNamed(wanted, known) ?? known.trainers[0];
  // The config that Home would start, including unwritten changes.
  const config = trainer && drafted(trainer).config;
  if (!trainer || !config) {
    return (
      <>
        {title}
        {trainer?.problem !== undefined ? (
          <ErrorNote title={`${displayName(trainer.name)} can't be read`} error={trainer.problem}>
            {trainer.needsData && known.revision !== undefined && (
              <UseFile trainer={trainer} revision={known.revision} />
            )}
          </ErrorNote>
        ) : (
          <Empty
            title={trainer ? "This trainer lists no data." : "There is no trainer yet."}
            action={
              <a class="ui-button ui-button-primary" href="#/">
                Go to Home
              </a>
            }
          >
            The rows of a trainer are shown here as its model will see them.
          </Empty>
        )}
      </>
    );
  }
  return (
    <>
      {known.revision !== undefined && (
        <DropFile key={`drop ${trainer.name}`} trainer={trainer} revision={known.revision} />
      )}
      <Page key={trainer.name} known={known} trainer={trainer} config={config} />
    </>
  );
}

function Page({ known, trainer, config }: { known: Manifest; trainer: Trainer; config: JobConfig }) {
  const { trainers, revision } = known;
  const { unmapped } = trainer;
  const mapping = useMapping(unmapped !== undefined);
  const opened = useMemo(() => new OpenedView(config), []);
  useEffect(() => () => opened.close(), [opened]);
  const wanted = JSON.stringify(config);
  useEffect(() => opened.use(config), [wanted]);
  // Another manifest of the same trainer: a file that it names may have been edited.
  const read = useRef(known);
  useEffect(() => {
    if (read.current !== known) void opened.refresh();
    read.current = known;
  }, [known]);
  const view = opened.view.value;
  const error = opened.error.value ?? (view?.state === "failed" ? (view.error ?? "") : null);
  return (
    <>
      <header class="data-head">
        <h1 tabIndex={-1}>Data</h1>
        {trainers.length > 1 && (
          <Select
            aria-label="Trainer"
            value={trainer.name}
            options={trainers.map(({ name }) => [name, displayName(name)])}
            onChange={(name) => setQuery({ trainer: name, row: null })}
          />
        )}
        <p class="data-line-words dim">{view ? sourceWords(view) : ""}</p>
      </header>
      {unmapped && mapping && revision !== undefined && (
        <div class="data-map">
          <mapping.MapColumns key={unmapped.file} {...{ trainer, unmapped, revision }} />
        </div>
      )}
      {/* Data must be mapped before anything else can be shown. */}
      {unmapped && trainer.problem !== undefined ? null : error !== null ? (
        <ErrorNote title="Couldn't show the data" error={error} retry={() => void opened.again()} />
      ) : view && view.indexed > 0 ? (
        <Dataset {...{ opened, view, trainer }} ways={<Ways trainer={trainer.name} />} />
      ) : view && view.rows === 0 ? (
        <Empty title="This data set has no rows." />
      ) : (
        <>
          <Progress view={view} />
          <Skeleton lines={10} height={20} />
        </>
      )}
    </>
  );
}

/** `data/chats.jsonl · chat, JSON Lines · as smollm2-135m-instruct sees it` */
function sourceWords({ source, form, model }: DatasetView): string {
  return [clean(source, 200), clean(form, 100), `as ${clean(model, 100)} sees it`]
    .filter(Boolean)
    .join(" · ");
}
