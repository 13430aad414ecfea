/** The two pages with curves, as one chunk: they share most of their code, and each chunk costs a request. */
export { default as Compare } from "./compare";
export { default as Job, ready } from "./job";
