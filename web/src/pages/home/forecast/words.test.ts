import { describe, expect, test } from "vitest";
import type { Forecast } from "../../../contract.gen";
import { forecastNotes, progressWords, shortage, timeWords } from "./words";

const FORECAST: Forecast = {
  state: "measured",
  seconds: 110.4,
  memory: { peakBytes: 1_712_000_000, freeBytes: 20_100_000_000, totalBytes: 25_200_000_000 },
  rows: 102,
  lookedAtRows: 102,
  cutRows: 0,
  learnedTokens: 5710,
  diskBytes: 48_900_000,
  freeDiskBytes: 90_000_000_000,
  fits: true,
};

describe("a forecast in words", () => {
  test("a model keeps the case of its name", () => {
    const progress = { label: "Loading Qwen/Qwen3-0.6B", done: 1, total: null, unit: "bytes" } as const;
    expect(progressWords({ state: "measuring", progress })).toBe(
      "Estimating time and memory: loading Qwen/Qwen3-0.6B …",
    );
  });

  test("time is as exact as a forecast is", () => {
    expect(timeWords(0.2)).toBe("About 1 s");
    expect(timeWords(48.4)).toBe("About 48 s");
    expect(timeWords(112.4)).toBe("About 1 min 50 s");
    expect(timeWords(4000)).toBe("About 1 h 07 min");
  });

  test("what else matters is in its notes", () => {
    expect(forecastNotes({ ...FORECAST, steps: 77 }, false)).toEqual([
      "peak 1.7 GB of 20.1 GB free",
      "48.9 MB on disk",
    ]);
    expect(forecastNotes({ ...FORECAST, steps: 77, lookedAtRows: 50, cutRows: 1200 }, true)).toEqual([
      "77 steps",
      "peak 1.7 GB of 20.1 GB free",
      "48.9 MB on disk",
      "about 1,200 rows truncated",
    ]);
    const device = { peakBytes: 5e9, freeBytes: null, totalBytes: null };
    expect(forecastNotes({ ...FORECAST, device }, false)[0]).toBe("peak 5.0 GB");
    const gpu = { peakBytes: 5e9, totalBytes: 8e9 };
    expect(forecastNotes({ ...FORECAST, device, gpus: [gpu, gpu] }, false)[1]).toBe("spread over 2 GPUs");
    expect(forecastNotes({ ...FORECAST, notes: ["without the time of the judge"] }, false)[0]).toBe(
      "without the time of the judge",
    );
    expect(forecastNotes({ ...FORECAST, streaming: { slower: 2.17 } }, false).slice(0, 2)).toEqual([
      "peak 1.7 GB of 20.1 GB free with streaming",
      "2.2 times as long",
    ]);
    expect(forecastNotes({ state: "measured" }, true)).toEqual([]);
  });

  test("what is short is named", () => {
    expect(shortage(FORECAST)).toBeNull();
    expect(shortage({ ...FORECAST, fits: undefined as never })).toBeNull();
    const small = { peakBytes: 4.5e9, freeBytes: 3.9e9, totalBytes: 4e9 };
    expect(shortage({ ...FORECAST, fits: false, memory: small })).toBe(
      "It needs 4.5 GB of memory, and 3.9 GB are free.",
    );
    expect(shortage({ ...FORECAST, fits: false, freeDiskBytes: 1e6 })).toBe(
      "Its checkpoints take 48.9 MB, and 1.0 MB of the disk are free.",
    );
  });
});
