/** Synchronises the address and the open conversation: a link opens its targets, a reload the same conversation. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { newestCheckpoint } from "../../chat/checkpoints";
import { BUILT_IN, DEFAULT_PARAMS } from "../../chat/model/presets";
import { shownTargets, showTargets } from "../../chat/model/tree";
import type { Target } from "../../chat/model/types";
import { send } from "../../chat/session";
import {
  changeCurrent,
  current,
  lastQuestion,
  newConversation,
  openConversation,
} from "../../chat/storage/conversations";
import {
  baseModels,
  defaultTarget,
  newestAdapter,
  queryOfTargets,
  sameTarget,
  takeHanded,
  targetsOfQuery,
} from "../../chat/targets";
import { route, setQuery } from "../../router";
import { served } from "../../store/features";
import { jobs, jobsState } from "../../store/jobs";
import { loadManifest, manifest, manifestError } from "../../store/manifest";
import { draft, setDraft } from "./composer";
import { OwnQueries } from "./own-queries";

const same = (a: readonly Target[], b: readonly Target[]): boolean =>
  a.length === b.length && a.every((target, index) => sameTarget(target, b[index]!));

const own = new OwnQueries();

function write(): void {
  const { id, leaf } = current.peek();
  const before = route.peek().query.toString();
  setQuery({
    ...queryOfTargets(shownTargets(current.peek())),
    chat: leaf === null ? null : id,
    prompt: null,
    system: null,
    steady: null,
    again: null,
  });
  own.wrote(before, route.peek().query.toString());
}

/** Opens the conversation that the address names; without one, a new conversation with its targets. */
async function read(query: URLSearchParams): Promise<void> {
  const handed = takeHanded();
  if (handed) {
    const { conversation, question } = handed;
    changeCurrent({ ...newConversation(conversation.targets, DEFAULT_PARAMS, ""), ...conversation });
    write();
    if (question !== undefined) send(question);
    return;
  }
  const chat = query.get("chat");
  const targets = targetsOfQuery(query);
  const prompt = query.get("prompt") ?? (query.get("again") ? await lastQuestion() : null);
  // Does not overwrite a draft with a link's question.
  if (prompt && draft.peek().trim() === "") setDraft(prompt);
  if (chat && chat !== current.peek().id && (await openConversation(chat)) && targets.length === 0)
    return write();
  const { leaf, id } = current.peek();
  const [system, steady] = [query.get("system") ?? "", query.has("steady")];
  if (targets.length > 0 && (system !== "" || steady)) {
    // The link has a system prompt or fixed settings: it starts a new conversation.
    current.value = newConversation(targets, steady ? BUILT_IN[0]!.params : DEFAULT_PARAMS, system);
  } else if (targets.length > 0 && !same(targets, shownTargets(current.peek()))) {
    // A link to a model starts a conversation with it, and does not continue one with another model.
    if (leaf === null || chat === id) current.value = showTargets(current.peek(), targets, sameTarget);
    else current.value = newConversation(targets, DEFAULT_PARAMS, "");
  }
  write();
}

/** Whether all lists of models have loaded. */
export const searched = signal(false);

/** The target of a new playground: an adapter or a checkpoint before a base model. */
async function somebody(): Promise<Target | null> {
  const checkpoint = newestAdapter(jobs.peek()) ? null : await newestCheckpoint(jobs.peek());
  return checkpoint ?? defaultTarget(jobs.peek(), baseModels(jobs.peek(), manifest.peek(), served.peek()));
}

/** Follows the address while the playground is shown, and picks a target once the lists have arrived. */
export function useAddress(): void {
  const { query } = route.value;
  const text = query.toString();
  useEffect(() => {
    own.clear();
  }, []);
  useEffect(() => {
    if (!own.hear(text)) void read(query);
  }, [text]);
  const { id, targets, columns, leaf } = current.value;
  useEffect(() => {
    if (route.peek().page === "playground") write();
  }, [id, targets, columns, leaf === null]);

  useEffect(() => void loadManifest(), []);
  const settled = jobsState.value.loaded && (manifest.value !== null || manifestError.value !== null);
  useEffect(() => {
    if (!settled || current.peek().targets.length > 0) return;
    void somebody().then((target) => {
      if (target && current.peek().targets.length === 0)
        current.value = showTargets(current.peek(), [target], sameTarget);
      searched.value = target !== null || served.peek() !== null;
    });
  }, [settled, jobs.value, manifest.value, served.value]);
}
