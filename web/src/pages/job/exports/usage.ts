/** What to do with an export that was written into FOLDER: a line to copy for each program. */
export function usage(format: string): readonly (readonly [program: string, line: string])[] {
  switch (format) {
    case "adapter":
      return [
        ["Python", 'PeftModel.from_pretrained(base, "FOLDER")'],
        ["vLLM", "vllm serve BASE --enable-lora --lora-modules NAME=FOLDER"],
      ];
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
