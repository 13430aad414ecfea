/** The playground: chat with one model, or ask two the same question. */
import "./playground.css";
import "./thread/thread.css";
import "./panel/panel.css";
import { useEffect, useRef, useState } from "preact/hooks";
import { ActionButton } from "../../actions/action-button";
import { type Action, useActions } from "../../actions/actions";
import { newestCheckpoint } from "../../chat/checkpoints";
import { shownTargets, showTargets } from "../../chat/model/tree";
import type { AdapterTarget, Target } from "../../chat/model/types";
import { targetTrouble } from "../../chat/picker/adapter-select";
import { busy, startNew, stop } from "../../chat/session";
import { changeCurrent, current, readConversations } from "../../chat/storage/conversations";
import { baseModels, comparePair, inOrder, newestAdapter, sameTarget } from "../../chat/targets";
import { late } from "../../lib/late";
import { composing } from "../../lib/textarea";
import { setTitle } from "../../store/document-title";
import { features, served } from "../../store/features";
import { jobs } from "../../store/jobs";
import { manifest } from "../../store/manifest";
import { Button } from "../../ui/controls/button";
import { searched, useAddress } from "./address";
import { Composer, setDraft } from "./composer";
import { Heads } from "./heads";
import { Changed } from "./panel/changed-settings";
import { Panel } from "./panel/panel";
import { useFollow } from "./thread/follow";
import { Thread } from "./thread/thread";

const useClassify = late(() => import("./classify"));
const useSearch = late(() => import("./search"));

export default function Playground() {
  const area = useRef<HTMLTextAreaElement>(null);
  const { away, toEnd } = useFollow(current.value.leaf !== null);
  const [panel, setPanel] = useState(() => matchMedia("(width >= 67.5em)").matches);
  const targets = shownTargets(current.value);
  const two = targets.length > 1;
  const classifiers = features.value.has("classify") ? targets.filter(trainedBy("classify")) : [];
  const finders = features.value.has("search") ? targets.filter(trainedBy("embed", "rerank")) : [];
  const searches = classifiers.length === 0 && finders.length > 0;
  const chats = classifiers.length === 0 && !searches;
  const classify = useClassify(classifiers.length > 0);
  const search = useSearch(searches);
  useAddress();
  useEffect(() => {
    setTitle("Playground");
    void readConversations();
  }, []);

  const startAgain: Action = {
    name: "pg.new",
    label: "New conversation",
    keys: "n",
    run: () => {
      startNew();
      area.current?.focus();
    },
  };
  const compare: Action = {
    name: "pg.compare",
    label: "Compare two models",
    keys: "c",
    when: () => targets.length === 1,
    run: () => void addSecond(),
  };
  const write: Action = {
    name: "pg.focus",
    label: "Write a message",
    keys: "/",
    run: () => area.current?.focus(),
  };
  const showPanel: Action = {
    name: "pg.panel",
    label: "Settings and conversations",
    keys: "s",
    run: () => setPanel(!panel),
  };
  useActions("Playground", [startAgain, compare, write, showPanel]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key !== "Escape" || event.defaultPrevented || composing(event)) return;
      if (busy.peek() && !document.querySelector("dialog[open]")) stop();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);

  return (
    <div class={["pg", panel && chats && "pg-with-panel", two && "pg-two"].filter(Boolean).join(" ")}>
      <div class="pg-main">
        <header class="pg-top">
          <h1 class="visually-hidden" tabIndex={-1}>
            Playground
          </h1>
          <Heads />
          <div class="pg-actions">
            {!two && (
              <ActionButton action={compare} kind="quiet" small>
                Compare
              </ActionButton>
            )}
            {chats && (
              <>
                <ActionButton action={startAgain} kind="quiet" small icon="plus" />
                <ActionButton action={showPanel} kind="quiet" small icon="panel" aria-expanded={panel} />
              </>
            )}
          </div>
        </header>
        {classify && <classify.Classify targets={classifiers} />}
        {search && finders[0] && <search.Search key={finders[0].jobId} targets={finders} />}
        {chats && (
          <>
            <Thread
              searched={searched.value}
              ask={(text) => {
                setDraft(text);
                area.current?.focus();
              }}
            />
            <div class="pg-bottom">
              {away && (
                <Button small class="pg-latest" onClick={toEnd}>
                  To the latest
                </Button>
              )}
              {!panel && <Changed onOpen={() => setPanel(true)} />}
              <Composer area={area} blocked={blockedBy(targets)} onSent={toEnd} />
            </div>
          </>
        )}
      </div>
      {panel && chats && <Panel onClose={() => setPanel(false)} />}
    </div>
  );
}

/** Whether a target was trained by one of `methods`, so that it does not answer in words. */
function trainedBy(...methods: string[]) {
  return (target: Target): target is AdapterTarget =>
    target.kind !== "base" &&
    methods.includes(jobs.value.find(({ id }) => id === target.jobId)?.config?.method ?? "");
}

/** Opens a second column: with its earlier model, else with one to compare with. */
async function addSecond(): Promise<void> {
  const checkpoint = newestAdapter(jobs.peek()) ? null : await newestCheckpoint(jobs.peek());
  const conversation = current.peek();
  const [only, other] = shownTargets(conversation);
  if (!only || other) return;
  const before =
    conversation.targets.length > 1
      ? conversation.targets.find((target) => !sameTarget(target, only))
      : undefined;
  const models = baseModels(jobs.peek(), manifest.peek(), served.peek());
  const pair = before ? inOrder(only, before) : comparePair(only, jobs.peek(), models, checkpoint);
  if (pair) changeCurrent(showTargets(conversation, pair, sameTarget));
}

function blockedBy(targets: readonly Target[]): string | null {
  if (targets.length === 0) return "Choose a model first";
  return targets.map(targetTrouble).find((trouble) => trouble !== null) ?? null;
}
