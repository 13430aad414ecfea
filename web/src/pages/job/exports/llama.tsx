/** Exports for llama.cpp, LM Studio and Ollama: file type, quantization, and adapter strength. */
import { useState } from "preact/hooks";
import { Button } from "../../../ui/controls/button";
import { CopyButton } from "../../../ui/controls/copy";
import { Field, Select } from "../../../ui/controls/switch";

export interface Wanted {
  format: string;
  quantization?: string;
  strength?: number;
}

const FORMATS = [
  ["gguf", "GGUF: one model, for llama.cpp and LM Studio"],
  ["ollama", "Ollama: one model and its Modelfile"],
  ["gguf-lora", "GGUF of the adapter alone, for llama.cpp"],
] as const;
export const LLAMA_FORMATS: ReadonlySet<string> = new Set(FORMATS.map(([format]) => format));

/** Most exact first; with the size relative to 16 bits. */
const QUANTIZATIONS = [
  ["q8_0", "8-bit: near-lossless, half the size"],
  ["q6_k", "6-bit: 41 % of the size"],
  ["q5_k_m", "5-bit: 36 % of the size"],
  ["q4_k_m", "4-bit K-quant: 31 % of the size"],
  ["q4_0", "4-bit: 29 % of the size"],
  ["f16", "16-bit: not quantized"],
] as const;

const STRENGTHS = [25, 50, 75, 100, 125, 150];

/** Why a format is unavailable here. */
export interface Problem {
  text: string;
  /** A helpful command to copy into a terminal, or empty. */
  install: string;
}

interface Props {
  /** The formats that are being written or verified. */
  underway: ReadonlySet<string>;
  begin: (request: Wanted) => void;
  problems: ReadonlyMap<string, Problem>;
}

export function Llama({ underway, begin, problems }: Props) {
  const [format, setFormat] = useState("gguf");
  const [quantization, setQuantization] = useState("q8_0");
  const [strength, setStrength] = useState(100);
  const isModel = format !== "gguf-lora";
  const problem = problems.get(format);
  // A missing llama.cpp affects all of them; otherwise another may be available.
  const none = FORMATS.every(([name]) => problems.has(name));
  return (
    <form
      class="exports-llama"
      onSubmit={(event) => {
        event.preventDefault();
        begin({
          format,
          ...(isModel && { quantization }),
          ...(strength !== 100 && { strength: strength / 100 }),
        });
      }}
    >
      <Unavailable id="exports-why" problem={problem} />
      <fieldset class="exports-fields" disabled={none}>
        <legend class="visually-hidden">GGUF file</legend>
        <Field label="What" for="exports-format">
          <Select id="exports-format" value={format} options={FORMATS} onChange={setFormat} />
        </Field>
        <details class="exports-options">
          <summary>Options</summary>
          {isModel && (
            <Field label="Quantization" for="exports-bits">
              <Select
                id="exports-bits"
                value={quantization}
                options={QUANTIZATIONS.map(([value, label]) => [value, `${value.toUpperCase()}, ${label}`])}
                onChange={setQuantization}
              />
            </Field>
          )}
          <Field label="Adapter strength" for="exports-strength">
            <Select
              id="exports-strength"
              value={strength}
              options={STRENGTHS.map((percent) => [
                percent,
                `${percent} %${percent === 100 ? ", as trained" : ""}`,
              ])}
              onChange={(percent) => setStrength(Number(percent))}
            />
          </Field>
        </details>
      </fieldset>
      <Button
        small
        type="submit"
        disabled={underway.has(format) || problem !== undefined}
        aria-describedby={problem ? "exports-why" : undefined}
      >
        Export GGUF
      </Button>
    </form>
  );
}

/** Says why a format is unavailable, with a helpful command; nothing if it is available. */
export function Unavailable({ id, problem }: { id: string; problem: Problem | undefined }) {
  if (problem === undefined) return null;
  // A terminal prints the command within the sentence; here it is below, to copy.
  const text = problem.install ? problem.text.replace(problem.install, "").trim() : problem.text;
  return (
    <>
      <p class="exports-why" id={id}>
        {text}
      </p>
      {problem.install && (
        <div class="exports-command">
          <code>{problem.install}</code>
          <CopyButton text={problem.install} label="Copy the command that installs it" small />
        </div>
      )}
    </>
  );
}
