/** Top-k, min-p, penalties, seed, stop sequences, tools and the format of an answer; loaded when opened. */
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import {
  type AnswerForm,
  boundedFigure,
  FEATURE,
  FIGURES,
  FORMATS,
  isSeed,
  type More,
  moreOf,
  NAMES,
  stopsOf,
  TOOLS,
  toolsOf,
} from "../../../chat/more";
import { changeCurrent, current } from "../../../chat/storage/conversations";
import { features } from "../../../store/features";
import { Button } from "../../../ui/controls/button";
import { AnswerFormField } from "./answer-form";
import { NumberField } from "./number-field";

const set = (more: More): void => changeCurrent({ ...current.peek(), more: moreOf(more) });

const setForm = (form: AnswerForm | undefined): void => {
  const { responseFormat: _, ...rest } = moreOf(current.peek().more);
  set(form ? { ...rest, responseFormat: form } : rest);
};

export function MoreFields() {
  const more = moreOf(current.value.more);
  const offered = features.value;
  const tools = offered.has(FEATURE) && offered.has(TOOLS);
  return (
    <>
      {offered.has(FEATURE) && <Sampling more={more} />}
      {tools && <Tools tools={more.tools} />}
      {offered.has(FORMATS) && (
        <AnswerFormField
          form={more.responseFormat}
          onChange={setForm}
          conversation={current.value}
          tools={tools && more.tools !== undefined}
        />
      )}
      {Object.keys(more).length > 0 && (
        <Button kind="quiet" small class="pg-clear" onClick={() => set({})}>
          Reset these
        </Button>
      )}
    </>
  );
}

function Sampling({ more }: { more: More }) {
  return (
    <>
      {NAMES.map((name) => (
        <NumberField
          key={name}
          id={`pg-${name}`}
          {...FIGURES[name]}
          value={more[name] ?? FIGURES[name].usual}
          slider={false}
          bounded={(value) => boundedFigure(name, value)}
          onChange={(value) => set({ ...moreOf(current.peek().more), [name]: value })}
        />
      ))}
      <Seed seed={more.seed} />
      <StopTexts stop={more.stop ?? []} />
    </>
  );
}

function Seed({ seed }: { seed: number | undefined }) {
  const [wrong, setWrong] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => {
    if (document.activeElement !== field.current)
      field.current!.value = seed === undefined ? "" : String(seed);
  }, [seed]);
  const typing = (text: string): void => {
    const { seed: _, ...rest } = moreOf(current.peek().more);
    const parsed = Number(text);
    setWrong(text !== "" && !isSeed(parsed));
    set(text === "" || !isSeed(parsed) ? rest : { ...rest, seed: parsed });
  };
  return (
    <div class="pg-param">
      <label for="pg-seed">Seed</label>
      <input
        ref={field}
        id="pg-seed"
        class="ui-input num"
        type="number"
        min={0}
        step={1}
        placeholder="new"
        aria-invalid={wrong}
        aria-describedby={wrong ? "pg-seed-note" : undefined}
        onInput={(event) => typing(event.currentTarget.value)}
      />
      {wrong && (
        <p id="pg-seed-note" class="pg-param-note" role="status">
          A whole number from 0 on, or nothing: then each answer draws anew.
        </p>
      )}
    </div>
  );
}

function StopTexts({ stop }: { stop: readonly string[] }) {
  const area = useRef<HTMLTextAreaElement>(null);
  const text = stop.join("\n");
  useLayoutEffect(() => {
    if (document.activeElement !== area.current) area.current!.value = text;
  }, [text]);
  const typing = (lines: string): void => {
    const { stop: _, ...rest } = moreOf(current.peek().more);
    set({ ...rest, stop: stopsOf(lines) });
  };
  return (
    <>
      <label for="pg-stop">Stop texts, one a line</label>
      <textarea
        ref={area}
        id="pg-stop"
        class="ui-input pg-system"
        rows={2}
        dir="auto"
        placeholder="None"
        onInput={(event) => typing(event.currentTarget.value)}
      />
    </>
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Tools that the model may call, as JSON; a call is shown and not run. */
function Tools({ tools }: { tools: readonly unknown[] | undefined }) {
  const [wrong, setWrong] = useState(false);
  const area = useRef<HTMLTextAreaElement>(null);
  const text = tools ? JSON.stringify(tools, null, 1) : "";
  useLayoutEffect(() => {
    if (document.activeElement !== area.current) area.current!.value = text;
  }, [text]);
  const typing = (input: string): void => {
    const { tools: _, ...rest } = moreOf(current.peek().more);
    const read = toolsOf(parsed(input));
    setWrong(input.trim() !== "" && read === null);
    set(read ? { ...rest, tools: read } : rest);
  };
  return (
    <>
      <label for="pg-tools">Tools, a JSON list as OpenAI's</label>
      <textarea
        ref={area}
        id="pg-tools"
        class="ui-input pg-system"
        rows={2}
        spellcheck={false}
        placeholder="None"
        aria-invalid={wrong}
        aria-describedby={wrong ? "pg-tools-note" : undefined}
        onInput={(event) => typing(event.currentTarget.value)}
      />
      {wrong && (
        <p id="pg-tools-note" class="pg-param-note" role="status">
          This is no such list yet: no tools are offered.
        </p>
      )}
    </>
  );
}
