import { CopyButton } from "../../ui/controls/copy";

const INIT = "arkor-dev init";

const EXAMPLE = `[[trainer]]
name = "support-bot"
model = "smollm2-135m-instruct"
dataset = "data/support.jsonl"
steps = 40
learning_rate = 2e-3

[trainer.lora]
r = 8
`;

const ROW = `{"messages": [{"role": "user", "content": "Where is my order?"}, {"role": "assistant", "content": "Ahoy. Your order sails today."}]}`;

const TRAINER = `import { createArkor, createTrainer } from "arkor";

const trainer = createTrainer({
  name: "support-bot",
  model: "unsloth/gemma-4-E4B-it",
  dataset: { type: "huggingface", name: "arkorlab/triage-demo" },
  maxSteps: 50,
});

export const arkor = createArkor({ trainer });
`;

/** Nothing to train yet: what to create, ready to copy. */
export function First({ typescript }: { typescript: boolean }) {
  if (typescript) return <NoExport />;
  return (
    <div class="home-first">
      <h1 tabIndex={-1} class="home-name">
        Nothing to train yet
      </h1>
      <p class="home-line">
        A trainer says which model learns from which examples. This project declares none.
      </p>
      <ol class="home-steps">
        <li>
          <h2>Let Studio write one</h2>
          <p class="dim">
            In the project's folder. It writes a commented arkor.toml and a small data set, ready to run.
          </p>
          <Snippet text={INIT} label="Copy the command" />
        </li>
        <li>
          <h2>Or write arkor.toml by hand</h2>
          <Snippet text={EXAMPLE} label="Copy the example" />
          <p class="dim">
            and the examples, one a line, in <code>data/support.jsonl</code>:
          </p>
          <Snippet text={ROW} label="Copy the row" />
        </li>
      </ol>
      <p class="hint">This page notices by itself when the file is there.</p>
    </div>
  );
}

/** A project of the arkor package declares its trainer in code: an arkor.toml beside it would take its place. */
function NoExport() {
  return (
    <div class="home-first">
      <h1 tabIndex={-1} class="home-name">
        No trainer is exported
      </h1>
      <p class="home-line">
        <code>src/arkor/index.ts</code> builds, but exports no trainer. Export one as <code>arkor</code> or as{" "}
        <code>trainer</code>:
      </p>
      <Snippet text={TRAINER} label="Copy the example" />
      <p class="hint">This page notices by itself when the file is saved.</p>
    </div>
  );
}

function Snippet({ text, label }: { text: string; label: string }) {
  return (
    <div class="home-snippet">
      <pre tabIndex={0}>{text.trimEnd()}</pre>
      <CopyButton small text={text} label={label} />
    </div>
  );
}
