/** The shapes of a conversation: a tree of turns, each answered in one column or two. */
import type { More } from "../more";

/** Who answers. `strength` is how much of the adapter counts, 1 where it is left out: see `chat/strength.ts`. */
export type Target =
  | { kind: "base"; model: string }
  | { kind: "final"; jobId: string; strength?: number }
  | { kind: "checkpoint"; jobId: string; step: number; strength?: number };

export type AdapterTarget = Exclude<Target, { kind: "base" }>;

/**
 * How an answer ended. `stopped`: by the person. `cut`: the stream broke off. `full`: it grew beyond what
 * the page keeps. `failed`: the backend said so, before or amid the text.
 */
export type AnswerState = "streaming" | "done" | "stopped" | "cut" | "full" | "failed";

export interface Answer {
  by: Target;
  /** The target's name at that time, so that the heading stays true when its job is gone. */
  name: string;
  text: string;
  state: AnswerState;
  error?: string;
  /** HTTP status of a request that was refused. */
  status?: number;
  finish?: string;
  timing?: Timing;
  /** What computed it, and in which number format. */
  engine?: string;
  calls?: ToolCall[];
  /** The settings it was requested with; those of the conversation may have changed since. */
  asked?: Pick<Conversation, "params" | "system" | "more">;
  /** What it should have been, where that was added to the project's data. */
  corrected?: KeptCorrection;
}

/** A tool call of the model; `arguments` is JSON as the model wrote it. */
export interface ToolCall {
  name: string;
  arguments: string;
}

export interface KeptCorrection {
  text: string;
  line: number;
  /** Takes it out of the file again. */
  undo: string;
  /** Lines that answer the same question in another way. */
  sameQuestion?: number[];
}

export interface Timing {
  /** Milliseconds from the request to the first text, loading included. */
  firstMs: number;
  /** Milliseconds of those in which the backend said it was loading the model. */
  loadMs: number;
  /** Milliseconds from the first text to the last. */
  textMs: number;
  tokens: number;
  /** Whether the backend counted the tokens; else they are the pieces of the stream. */
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
  /** Where it was begun: projects that are served at the same address share the browser's storage. */
  project?: string | undefined;
  created: number;
  updated: number;
  system: string;
  params: Params;
  /** Settings of the features `sampling`, `tools` and `formats`; read it by `moreOf`, as it may come from a storage. */
  more?: More;
  /** One target a column: one, or two. A column that is closed keeps its target and its answers. */
  targets: Target[];
  /** The columns that are shown, from left to right. */
  columns: number[];
  turns: Record<string, Turn>;
  /** The last turn of the branch that is shown. */
  leaf: string | null;
}
