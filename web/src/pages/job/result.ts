/** What came of a job, as one piece of code: a finished job shows all of it, and each piece costs a request. */
export { Answers } from "./answers";
export { Exports } from "./exports";
export { Verdict } from "./verdict";
