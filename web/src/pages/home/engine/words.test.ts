import { expect, test } from "vitest";
import type { EngineSetup } from "../../../contract.gen";
import { share, stateWords } from "./words";

const SETUP: EngineSetup = {
  state: "installing",
  next: null,
  plan: { folder: "/e", free: 9e9, pytorch: "9", fetch: 2e8, disk: 1e9, words: [] },
  progress: {
    seconds: 4,
    fetched: 1e8,
    unpacked: 0,
    now: "torch-9.0-cp311-cp311-manylinux_2_28.whl (180 MB)",
  },
  error: null,
};

test("The share counts what is downloaded and what is unpacked", () => {
  expect(share(SETUP)).toBeCloseTo(1 / 12);
  const progress = { seconds: 9, fetched: 2e8, unpacked: 2e9, now: "unpacking" };
  expect(share({ ...SETUP, progress })).toBe(1);
  expect(share({ ...SETUP, progress: null })).toBeNull();
  expect(share({ ...SETUP, plan: null })).toBeNull();
});

test("The state is said in a sentence", () => {
  expect(stateWords(SETUP)).toBe("100 MB downloaded, 0 B unpacked · torch-9.0 (180 MB)");
  expect(stateWords({ ...SETUP, state: "installed" })).toContain("is starting");
  expect(stateWords({ ...SETUP, state: "installed", next: "arkor-dev --local" })).toBe("Installed.");
});
