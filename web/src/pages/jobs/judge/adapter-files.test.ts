import { expect, test } from "vitest";
import { adapterIn, type Chosen } from "./adapter-files";

const file = (path: string, text = "{}"): Chosen => ({
  path,
  file: new File([text], path.split("/").at(-1)!),
});
const config = (path: string, base: unknown = "hub/base"): Chosen =>
  file(path, JSON.stringify({ base_model_name_or_path: base }));

test("the adapter nearest to the top is found, with its base", async () => {
  const files = [
    config("outputs/checkpoint-20/adapter_config.json", "hub/other"),
    file("outputs/checkpoint-20/adapter_model.safetensors"),
    config("outputs/adapter_config.json"),
    file("outputs/adapter_model.safetensors"),
  ];
  const adapter = await adapterIn(files);
  expect([adapter.name, adapter.base, adapter.weights]).toEqual(["outputs", "hub/base", files[3]!.file]);
  expect((await adapterIn([files[2]!, files[3]!])).name).toBe("outputs");
});

test("files without a folder have a name, too, and a base that is not a text is none", async () => {
  const adapter = await adapterIn([config("adapter_config.json", 7), file("adapter_model.safetensors")]);
  expect([adapter.name, adapter.base]).toEqual(["adapter", null]);
  const broken = [file("a/adapter_config.json", "{"), file("a/adapter_model.safetensors")];
  expect((await adapterIn(broken)).base).toBe(null);
});

test("what is missing is said", async () => {
  await expect(adapterIn([file("a/README.md")])).rejects.toThrow("There is no adapter_config.json");
  await expect(adapterIn([config("a/adapter_config.json")])).rejects.toThrow("no adapter_model.safetensors");
  const pickled = [config("a/adapter_config.json"), file("a/adapter_model.bin")];
  await expect(adapterIn(pickled)).rejects.toThrow("pickled");
});
