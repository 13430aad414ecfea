/**
 * A job's result and machine metrics, as one chunk: a finished job shows nearly all of it, and each chunk costs a
 * request.
 */
export { Answers } from "./answers";
export { Machine } from "./details/machine";
export { Exports } from "./exports";
export { Verdict } from "./verdict";
