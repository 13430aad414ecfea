/** What came of a job and how the machine did, as one piece of code: a finished job shows nearly all of it, and each piece costs a request. */
export { Answers } from "./answers";
export { Machine } from "./details/machine";
export { Exports } from "./exports";
export { Verdict } from "./verdict";
