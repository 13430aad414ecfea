/** The two pages that draw curves, as one piece of code: what they share is most of it, and each piece costs a request. */
export { default as Compare } from "./compare";
export { default as Job, ready } from "./job";
