// The SDK's source. `index.mjs` beside it is this in one line, as a package's published code is.
import { readFileSync } from "node:fs";
import { homedir } from "node:os";

const MODELS = ["smollm2-135m-instruct", "unsloth/gemma-4-E4B-it"];

export function createTrainer({ name, model }) {
  if (!MODELS.includes(model)) {
    throw new Error(`Unknown model "${model}" in the trainer "${name}". Supported are ${MODELS.join(", ")}.`);
  }
  let id;
  return {
    name,
    async start() {
      id = `job-${name}`;
      // Not the token: which of them it is.
      const path = `${homedir()}/.arkor/credentials.json`;
      try {
        const { accessToken, token } = JSON.parse(readFileSync(path, "utf8"));
        console.log(`token ends in ${(accessToken ?? token).slice(-4)}`);
      } catch {
        console.log("no credentials");
      }
      return { jobId: id };
    },
    async wait() {
      return { job: { id, status: "completed" } };
    },
    async cancel() {},
  };
}

export function createArkor({ trainer }) {
  return Object.freeze({ _kind: "arkor", trainer });
}
