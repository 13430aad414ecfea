/** The dialogs of a job's page, as one piece of code that comes with the first of them. */
export { CardDialog } from "./card/dialog";
export { ExtendDialog } from "./header/extend-dialog";
