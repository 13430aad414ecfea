/** The playground of classifiers: a text, and how likely each label is by one of them or two. */
import "./classify.css";
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
import { barsOf, percentOf } from "./bars";

/** Labels that are shown at first, and examples. */
const FIRST = 8;
const EXAMPLES = 4;
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
    <div class="classify">
      <form class="classify-form" onSubmit={submits(submit)}>
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
      <div class="classify-columns">
        {asked && targets.map((target) => <Bars key={targetKey(target)} target={target} asked={asked} />)}
      </div>
      {targets[0] && features.value.has("evaluation") && (
        <Examples
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
      <h2 class="classify-title">{title}</h2>
      {state === null && <p class="hint">Loading the model, or reading the text …</p>}
      {state && "error" in state && (
        <ErrorNote error={state.error} retry={() => setTries((count) => count + 1)} />
      )}
      {bars.length > 0 && (
        <ol class="classify-bars" aria-live="polite">
          {bars.slice(0, all ? bars.length : FIRST).map(({ label, probability }, place) => (
            <li key={label} class={place === 0 ? "classify-first" : ""}>
              <span class="classify-label" title={clean(label, 200)}>
                <bdi>{clean(label, 200)}</bdi>
              </span>
              <span class="num">{percentOf(probability)}</span>
              <span class="classify-bar" aria-hidden="true">
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
function Examples({ id, choose }: { id: string; choose: (text: string, label: string) => void }) {
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
  if (rows.length === 0) return null;
  const step = Math.max(1, Math.floor(rows.length / EXAMPLES));
  return (
    <section class="classify-examples" aria-label="Held-out rows">
      <h2 class="classify-title">Held-out rows to try</h2>
      <ul>
        {rows
          .filter((_, at) => at % step === 0)
          .slice(0, EXAMPLES)
          .map(({ question, wanted }, at) => (
            <li key={at}>
              <button type="button" dir="auto" onClick={() => choose(question, wanted)}>
                {clean(question, 160)}
              </button>
            </li>
          ))}
      </ul>
    </section>
  );
}
