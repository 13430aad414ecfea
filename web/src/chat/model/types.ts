/** The shapes of a conversation: a tree of turns, each answered in one column or two. */
import type { More } from "../more";

/** The model that answers. `strength` scales the adapter, 1 by default: see `chat/strength.ts`. */
export type Target =
  | { kind: "base"; model: string }
  | { kind: "final"; jobId: string; strength?: number }
  | { kind: "checkpoint"; jobId: string; step: number; strength?: number };

export type AdapterTarget = Exclude<Target, { kind: "base" }>;

/**
 * How an answer ended. `stopped`: by the user. `cut`: the stream broke off. `full`: it exceeded the page's limit.
 * `failed`: the backend reported an error, before or within the text.
 */
export type AnswerState = "streaming" | "done" | "stopped" | "cut" | "full" | "failed";

export interface Answer {
  by: Target;
  /** The target's name at that time, so that the heading stays correct after its job is deleted. */
  name: string;
  text: string;
  state: AnswerState;
  error?: string;
  /** HTTP status of a request that was refused. */
  status?: number;
  finish?: string;
  timing?: Timing;
  /** The engine, and its precision. */
  engine?: string;
  calls?: ToolCall[];
  /** The settings it was requested with; those of the conversation may have changed since. */
  asked?: Pick<Conversation, "params" | "system" | "more">;
  /** The ideal answer, if it was added to the project's data. */
  corrected?: KeptCorrection;
  /** How it was rated, if that was added to the project's data. */
  rated?: KeptRating;
}

/** A tool call of the model; `arguments` is JSON as the model wrote it. */
export interface ToolCall {
  name: string;
  arguments: string;
}

export interface KeptCorrection {
  text: string;
  line: number;
  /** Removes it from the file again. */
  undo: string;
  /** Lines with another answer to the same question. */
  sameQuestion?: number[];
}

export interface KeptRating {
  good: boolean;
  /** Identifies the rating for undo. */
  id: string;
}

export interface Timing {
  /** Milliseconds from the request to the first text, including loading. */
  firstMs: number;
  /** Milliseconds of it during which the backend reported loading the model. */
  loadMs: number;
  /** Milliseconds from the first text to the last. */
  textMs: number;
  tokens: number;
  /** Whether the backend counted the tokens; otherwise stream chunks are counted. */
  counted: boolean;
}

export interface Turn {
  id: string;
  parent: string | null;
  user: string;
  /** By column; null if that column was not asked. */
  answers: (Answer | null)[];
  /** Milliseconds since 1970. */
  at: number;
}

export interface Params {
  temperature: number;
  topP: number;
  maxTokens: number;
}

export interface Conversation {
  id: string;
  /** The project: projects served at the same address share the browser's storage. */
  project?: string | undefined;
  created: number;
  updated: number;
  system: string;
  params: Params;
  /** Settings of the features `sampling`, `tools` and `formats`, perhaps stored: read by `moreOf`. */
  more?: More;
  /** One target per column: one, or two. A closed column keeps its target and its answers. */
  targets: Target[];
  /** The visible columns, from left to right. */
  columns: number[];
  turns: Record<string, Turn>;
  /** The last turn of the visible branch. */
  leaf: string | null;
}
