/** The conversations stored in this browser: open, export, delete. */

import type { Conversation } from "../../../chat/model/types";
import { stop } from "../../../chat/session";
import {
  allConversations,
  current,
  deleteConversation,
  nextConversation,
  openConversation,
  storageTrouble,
  summaries,
} from "../../../chat/storage/conversations";
import type { Summary } from "../../../chat/storage/db";
import { saveFile } from "../../../lib/download";
import { clean } from "../../../lib/text";
import { Button } from "../../../ui/controls/button";
import { say } from "../../../ui/controls/live";
import { Menu } from "../../../ui/controls/menu";
import { confirm } from "../../../ui/dialog";
import { RelativeTime } from "../../../ui/time";

/** Saves `lines` as a file; reports if there is nothing to export. */
async function download(
  conversations: readonly Conversation[] | Promise<readonly Conversation[]>,
  name: string,
): Promise<void> {
  const { trainingSet } = await import("../../../chat/training-set");
  const lines = trainingSet(await conversations);
  if (lines === "") return say("No whole answer to export yet");
  saveFile(name, lines, "application/jsonl");
}

export function Conversations({ onOpened }: { onOpened: () => void }) {
  const list = summaries.value;
  const id = current.value.id;
  return (
    <section class="pg-section pg-conversations" aria-labelledby="pg-conversations">
      <div class="pg-conversations-head">
        <h2 class="pg-section-title" id="pg-conversations">
          Conversations
        </h2>
        {list.length > 0 && (
          <Menu
            small
            icon="download"
            label="Export"
            items={[
              {
                label: "Export this one as JSONL",
                disabled: current.value.leaf === null,
                run: () => void download([current.peek()], "conversation.jsonl"),
              },
              {
                label: "Export all as JSONL",
                run: () => void download(allConversations(), "conversations.jsonl"),
              },
            ]}
          />
        )}
      </div>
      {storageTrouble.value && <p class="pg-trouble">{storageTrouble.value}</p>}
      {list.length === 0 ? (
        <p class="hint">What you ask stays in this browser and is listed here.</p>
      ) : (
        <ul>
          {list.map((entry) => (
            <Row key={entry.id} summary={entry} active={entry.id === id} onOpened={onOpened} />
          ))}
        </ul>
      )}
    </section>
  );
}

function Row({ summary, active, onOpened }: { summary: Summary; active: boolean; onOpened: () => void }) {
  const title = clean(summary.title, 80);
  const show = async (): Promise<void> => {
    if (!(await openConversation(summary.id))) return say(`“${title}” cannot be read`);
    if (matchMedia("(width < 60em)").matches) onOpened();
  };
  const drop = async (): Promise<void> => {
    const question = {
      title: "Delete this conversation?",
      text: `“${title}” and all its branches will be gone from this browser.`,
      action: "Delete conversation",
      danger: true,
    };
    if (!(await confirm(question))) return;
    stop(summary.id);
    if (current.peek().id === summary.id) current.value = nextConversation();
    await deleteConversation(summary.id);
  };
  return (
    <li class={active ? "pg-chat pg-chat-on" : "pg-chat"}>
      <button
        type="button"
        class="pg-chat-open"
        aria-current={active ? "true" : undefined}
        onClick={() => void show()}
      >
        <span class="ellipsis" dir="auto">
          {title}
        </span>
        <span class="hint">
          <RelativeTime at={new Date(summary.updated).toISOString()} />
        </span>
      </button>
      <Button
        kind="quiet"
        small
        icon="close"
        aria-label={`Delete “${title}”`}
        title="Delete"
        class="pg-chat-drop"
        onClick={() => void drop()}
      />
    </li>
  );
}
