/** The ballots of a blind test: kept in the page, and with the job if the backend stores them. */
import { signal } from "@preact/signals";
import { api, errorText } from "../../api/client";
import type { Target } from "../../chat/model/types";
import {
  addPreference,
  includes,
  learnedFrom,
  loadPreferences,
  type Preferred,
  preferences,
  removePreference,
} from "../../chat/preferences";
import { targetKey } from "../../chat/targets";
import type { Ballot, ChatMessage, Evaluation, EvaluationResult, Job, Vote, Votes } from "../../contract.gen";
import { isObject } from "../../lib/json";
import { features } from "../../store/features";
import { distinct, type Question } from "./pairs";

/** The label that distinguishes a person's votes from another's, until the page is closed. Most people vote alone. */
export const voter = signal("me");

export const canKeep = (): boolean => features.value.has("votes");

/** The job that stores the votes: the adapter's; for two adapters, the second one's. */
export function jobOf(first: Target, other: Target): string | null {
  if (other.kind !== "base") return other.jobId;
  return first.kind === "base" ? null : first.jobId;
}

/** The stored votes on these two; for an adapter trained further since, only later ones. */
export async function keptVotes(
  job: Job | undefined,
  id: string,
  first: Target,
  other: Target,
): Promise<Vote[]> {
  if (!features.peek().has("votes")) return [];
  const { votes } = await api<Votes>(`/jobs/${encodeURIComponent(id)}/votes`);
  const pair = new Set([targetKey(first), targetKey(other)]);
  const since = Date.parse(job?.completedAt ?? "");
  return (Array.isArray(votes) ? votes : []).filter(
    (vote) =>
      isObject(vote) &&
      typeof vote.voter === "string" &&
      pair.has(vote.one) &&
      pair.has(vote.other) &&
      !(Date.parse(vote.at) < since),
  );
}

/** Questions that the adapter has not been trained on, if the job was evaluated. */
export async function heldOutQuestions(job: Job | undefined): Promise<Question[]> {
  const evaluation = job?.evaluation as Evaluation | undefined;
  if (!job || !features.peek().has("evaluation") || !isObject(evaluation)) return [];
  const { rows } = await api<EvaluationResult>(`/jobs/${encodeURIComponent(job.id)}/evaluation`);
  return distinct(
    (Array.isArray(rows) ? rows : []).flatMap((row) => {
      // An empty list: the messages before it are too long to be sent, and without them it would be a different
      // question.
      if (typeof row.question !== "string" || row.messages?.length === 0) return [];
      const messages = messagesOf(row.messages);
      return [{ text: row.question, ...(messages ? { messages } : {}) }];
    }),
  );
}

/** The prompts of the preferences that the job learned from. */
export async function preferredQuestions(job: Job | undefined): Promise<Question[]> {
  if (!job || !includes(job.config?.datasetSource, "data/preferences.jsonl", "data/ratings.jsonl")) return [];
  await loadPreferences();
  return distinct(
    learnedFrom(job, preferences.peek()!).flatMap(({ prompt }) => {
      const text = prompt?.at(-1)?.content;
      return text === undefined ? [] : [{ text, ...(prompt!.length > 1 ? { messages: prompt } : {}) }];
    }),
  );
}

/** The messages up to the question, if the backend sends them. */
function messagesOf(sent: unknown): ChatMessage[] | null {
  if (!Array.isArray(sent)) return null;
  const messages = sent.filter(
    (message): message is ChatMessage =>
      isObject(message) && typeof message.role === "string" && typeof message.content === "string",
  );
  return messages.length === sent.length && messages.at(-1)?.role === "user" ? messages : null;
}

/** A ballot, and the preference pair that results; a tie has none. */
interface Given {
  ballot: Ballot;
  pair: Preferred | null;
  /** The ids under which they are stored. */
  vote?: string | undefined;
  preference?: string | undefined;
}

/** Sends ballots in sequence; failed ones wait for the next attempt. */
export class Ballots {
  readonly given = signal<readonly Ballot[]>([]);
  /** Why some of them are not stored yet. */
  readonly trouble = signal("");
  #all: Given[] = [];
  #unsent: Given[] = [];
  #sending: Promise<void> | null = null;

  constructor(private readonly job: string | null) {}

  give(ballot: Ballot, pair: Preferred | null): void {
    this.given.value = [...this.given.peek(), ballot];
    const vote = { ballot, pair };
    this.#all.push(vote);
    this.#unsent.push(vote);
    this.send();
  }

  /** Undoes the newest ballot. Throws `ApiError` if it can't be undone. */
  async takeBack(): Promise<void> {
    await this.#sending;
    const last = this.#all.at(-1);
    if (!last) return;
    // First: a refusal must come before anything else has changed.
    if (last.preference !== undefined) await removePreference(last.preference);
    last.preference = undefined;
    if (last.vote !== undefined) await api(`${this.#path}/${last.vote}`, { method: "DELETE" });
    this.#all.pop();
    this.#unsent = this.#unsent.filter((unsent) => unsent !== last);
    this.given.value = this.#all.map(({ ballot }) => ballot);
  }

  send(): void {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
    });
  }

  get #path(): string {
    return `/jobs/${encodeURIComponent(this.job ?? "")}/votes`;
  }

  async #sendAll(): Promise<void> {
    try {
      for (let next = this.#unsent[0]; next; next = this.#unsent[0]) {
        // First: whoever sees the vote can train on its pair.
        if (next.pair) next.preference ??= await addPreference(next.pair);
        if (this.job !== null && features.peek().has("votes"))
          next.vote ??= (
            await api<{ vote: Vote }>(this.#path, { method: "POST", body: next.ballot })
          ).vote.id;
        this.#unsent.shift();
      }
      this.trouble.value = "";
    } catch (fault) {
      this.trouble.value = errorText(fault);
    }
  }
}
