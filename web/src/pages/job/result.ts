/** A job's result and machine metrics, as one chunk: a finished job shows both, and chunks cost requests. */
export { Answers } from "./answers";
export { Machine } from "./details/machine";
export { Exports } from "./exports";
export { Verdict } from "./verdict";
