import { expect, it } from "vitest";
import { clusterWords } from "./words";

const node = { name: "10.0.0.5", cpus: 4, gpus: 1, memory: 16e9, missing: [] };

it("says what is free, and what is wrong on each machine", () => {
  const nodes = [
    node,
    { ...node, name: "10.0.0.6", missing: ["torch", "peft"] },
    { name: "10.0.0.7", cpus: 1, gpus: 0, memory: 0, problem: "it broke\u202e" },
  ];
  expect(clusterWords({ address: "head:1", nodes, free: { cpus: 6, gpus: 1, memory: 24e9 } })).toEqual([
    "Free now: 6 processors, 1 GPU and 24.0 GB on 3 machines.",
    "10.0.0.6 lacks torch, peft: install them in the Python that Ray runs with there.",
    "10.0.0.7 has not answered: it broke",
  ]);
});

it("says why one cannot be used, and no more than the backend does", () => {
  expect(clusterWords({ address: "head:1", problem: "Nobody answers." })).toEqual(["Nobody answers."]);
  expect(clusterWords({ address: "head:1" })).toEqual([]);
});
