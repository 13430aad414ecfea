/** The ballots of a blind test: kept in the page, and with the job if the backend stores them. */
import { signal } from "@preact/signals";
import { api, errorText } from "../../api/client";
import type { Target } from "../../chat/model/types";
import { targetKey } from "../../chat/targets";
import type { Ballot, ChatMessage, Evaluation, EvaluationResult, Job, Vote, Votes } from "../../contract.gen";
import { isObject } from "../../lib/json";
import { features } from "../../store/features";
import { distinct, type Question } from "./pairs";

/** The label that distinguishes a person's votes from another's, until the page is closed. */
export const voter = signal("");

export const canKeep = (): boolean => features.value.has("votes");

/** The job that stores the votes: the adapter's; for two adapters, the second one's. */
export function jobOf(one: Target, other: Target): string | null {
  if (other.kind !== "base") return other.jobId;
  return one.kind === "base" ? null : one.jobId;
}

/** The stored votes on these two; for an adapter trained further since, only later ones. */
export async function keptVotes(
  job: Job | undefined,
  id: string,
  one: Target,
  other: Target,
): Promise<Vote[]> {
  if (!features.peek().has("votes")) return [];
  const { votes } = await api<Votes>(`/jobs/${encodeURIComponent(id)}/votes`);
  const pair = new Set([targetKey(one), targetKey(other)]);
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
      // An empty list: the messages before it are too long to be sent, and without them it would be another question.
      if (typeof row.question !== "string" || row.messages?.length === 0) return [];
      const messages = messagesOf(row.messages);
      return [{ text: row.question, ...(messages ? { messages } : {}) }];
    }),
  );
}

/** The messages up to the question, if the backend sends them. */
function messagesOf(sent: unknown): ChatMessage[] | null {
  if (!Array.isArray(sent)) return null;
  const messages = sent.filter(
    (each): each is ChatMessage =>
      isObject(each) && typeof each.role === "string" && typeof each.content === "string",
  );
  return messages.length === sent.length && messages.at(-1)?.role === "user" ? messages : null;
}

/** Sends ballots in sequence; failed ones wait for the next attempt. */
export class Ballots {
  readonly given = signal<readonly Ballot[]>([]);
  /** Why some of them are not stored yet. */
  readonly trouble = signal("");
  #unsent: Ballot[] = [];
  #sending: Promise<void> | null = null;

  constructor(private readonly job: string | null) {}

  give(ballot: Ballot): void {
    this.given.value = [...this.given.peek(), ballot];
    if (this.job === null || !features.peek().has("votes")) return;
    this.#unsent.push(ballot);
    this.send();
  }

  send(): void {
    this.#sending ??= this.#all().finally(() => {
      this.#sending = null;
    });
  }

  async #all(): Promise<void> {
    try {
      for (let next = this.#unsent[0]; next; next = this.#unsent[0]) {
        await api(`/jobs/${encodeURIComponent(this.job ?? "")}/votes`, { method: "POST", body: next });
        this.#unsent.shift();
      }
      this.trouble.value = "";
    } catch (fault) {
      this.trouble.value = errorText(fault);
    }
  }
}
