/** The playground of classifiers: a text, and how likely each label is by one of them or two. */
import "../scored.css";
import { useEffect, useRef, useState } from "preact/hooks";
import { api, errorText, isAbort, useAnswer } from "../../../api/client";
import type { AdapterTarget } from "../../../chat/model/types";
import { nameTarget, targetKey } from "../../../chat/targets";
import type { ClassifiedText, EvaluationResult } from "../../../contract.gen";
import { isObject } from "../../../lib/json";
import { clean } from "../../../lib/text";
import { fitHeight, sendsOn } from "../../../lib/textarea";
import { features } from "../../../store/features";
import { jobs } from "../../../store/jobs";
import { Button } from "../../../ui/controls/button";
import { submits } from "../../../ui/controls/switch";
import { ErrorNote } from "../../../ui/empty";
import { Examples } from "../examples";
import { barsOf, percentOf } from "./bars";

/** Labels that are shown at first. */
const FIRST = 8;
const LONGEST = 20_000;

export function Classify({ targets }: { targets: readonly AdapterTarget[] }) {
  const area = useRef<HTMLTextAreaElement>(null);
  const [text, setText] = useState("");
  const [asked, setAsked] = useState<{ text: string; label?: string } | null>(null);
  useEffect(() => fitHeight(area.current), [text]);
  const ready = text.trim() !== "";
  const submit = (): void => {
    if (ready) setAsked({ text });
  };
  return (
    <div class="scored">
      <form class="scored-form" onSubmit={submits(submit)}>
        <textarea
          ref={area}
          rows={2}
          dir="auto"
          maxLength={LONGEST}
          aria-label="Text to classify"
          placeholder="Text to classify"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (!sendsOn(event)) return;
            event.preventDefault();
            submit();
          }}
        />
        <Button kind="primary" type="submit" disabled={!ready}>
          Classify
        </Button>
      </form>
      {asked?.label !== undefined && (
        <p class="hint">
          Label in the data: <b dir="auto">{clean(asked.label, 200)}</b>
        </p>
      )}
      <div class="scored-columns">
        {asked && targets.map((target) => <Bars key={targetKey(target)} target={target} asked={asked} />)}
      </div>
      {targets[0] && features.value.has("evaluation") && (
        <HeldOut
          key={targets[0].jobId}
          id={targets[0].jobId}
          choose={(text, label) => {
            setText(text);
            setAsked({ text, label });
          }}
        />
      )}
    </div>
  );
}

type State = ClassifiedText | { error: string } | null;

function Bars({ target, asked }: { target: AdapterTarget; asked: { text: string } }) {
  const [state, setState] = useState<State>(null);
  const [tries, setTries] = useState(0);
  const [all, setAll] = useState(false);
  useEffect(() => {
    const abort = new AbortController();
    setState(null);
    const { strength: _, ...adapter } = target;
    api<ClassifiedText>("/inference/classify", {
      method: "POST",
      body: { adapter, text: asked.text },
      signal: abort.signal,
    }).then(setState, (failure: unknown) => {
      if (!isAbort(failure)) setState({ error: errorText(failure) });
    });
    return () => abort.abort();
  }, [targetKey(target), asked, tries]);
  const { name, part } = nameTarget(target, jobs.value);
  const title = `${name}, ${part}`;
  const bars = state && "labels" in state ? barsOf(state) : [];
  return (
    <section aria-label={title} aria-busy={state === null}>
      <h2 class="scored-title">{title}</h2>
      {state === null && <p class="hint">Loading the model, or reading the text …</p>}
      {state && "error" in state && (
        <ErrorNote error={state.error} retry={() => setTries((count) => count + 1)} />
      )}
      {bars.length > 0 && (
        <ol class="scored-list" aria-live="polite">
          {bars.slice(0, all ? bars.length : FIRST).map(({ label, probability }, place) => (
            <li key={label} class={place === 0 ? "scored-first" : ""}>
              <span class="scored-label" title={clean(label, 200)}>
                <bdi>{clean(label, 200)}</bdi>
              </span>
              <span class="num">{percentOf(probability)}</span>
              <span class="scored-bar" aria-hidden="true">
                <span style={{ width: `${100 * probability}%` }} />
              </span>
            </li>
          ))}
        </ol>
      )}
      {bars.length > FIRST && !all && (
        <Button small onClick={() => setAll(true)}>
          Show all {bars.length} labels
        </Button>
      )}
    </section>
  );
}

/** Held-out rows of the job, to begin with. */
function HeldOut({ id, choose }: { id: string; choose: (text: string, label: string) => void }) {
  const { answer } = useAnswer(
    (signal) => api<EvaluationResult>(`/jobs/${encodeURIComponent(id)}/evaluation`, { signal }),
    [id],
  );
  const sent: unknown = answer?.rows;
  const rows = (Array.isArray(sent) ? sent : []).filter(isObject).flatMap(({ question, wanted }) => {
    return typeof question === "string" && typeof wanted === "string" && question !== ""
      ? [{ question, wanted }]
      : [];
  });
  return (
    <Examples
      title="Held-out rows to try"
      examples={rows.map(({ question, wanted }) => ({
        text: question,
        choose: () => choose(question, wanted),
      }))}
    />
  );
}
