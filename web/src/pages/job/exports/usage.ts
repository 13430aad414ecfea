import type { JobConfig } from "../../../contract.gen";

type Line = readonly [program: string, line: string];

/** The ranks that vLLM accepts (0.32); the first is its default limit. */
const RANKS = [16, 32, 64, 128, 256, 320, 512];

/** How to use an export written to FOLDER: a command for each program. */
export function usage(format: string, config: Partial<JobConfig>): readonly Line[] {
  switch (format) {
    case "adapter":
      return [["Python", 'PeftModel.from_pretrained(base, "FOLDER")'], ...vllm(config)];
    case "merged":
      return [
        ["Python", 'AutoModelForCausalLM.from_pretrained("FOLDER")'],
        ["vLLM", "vllm serve FOLDER"],
      ];
    case "gguf":
      return [
        ["llama.cpp", "llama-cli -m FOLDER/model.gguf"],
        ["LM Studio", "lms import FOLDER/model.gguf"],
      ];
    case "gguf-lora":
      return [["llama.cpp", "llama-cli -m BASE.gguf --lora FOLDER/adapter.gguf"]];
    case "ollama":
      return [["Ollama", "ollama create NAME -f FOLDER/Modelfile"]];
    default:
      return [];
  }
}

/** vLLM's command for the job's adapter; none for one that vLLM rejects. */
function vllm({ loraR, useDora, initLoraWeights, loraModulesToSave }: Partial<JobConfig>): Line[] {
  const most = RANKS.find((rank) => rank >= Number(loraR ?? 0));
  const begunInTheBase = /^(pissa|olora)/.test(String(initLoraWeights));
  if (most === undefined || useDora || begunInTheBase || loraModulesToSave?.length) return [];
  const wide = most === RANKS[0] ? "" : ` --max-lora-rank ${most}`;
  return [["vLLM", `vllm serve BASE --enable-lora${wide} --lora-modules NAME=FOLDER`]];
}
