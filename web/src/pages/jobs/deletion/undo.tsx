/** A pending deletion with its undo, and why a deletion failed. */
import { ActionButton } from "../../../actions/action-button";
import { type Action, useActions } from "../../../actions/actions";
import { Button } from "../../../ui/controls/button";
import { say } from "../../../ui/controls/live";
import { ErrorNote } from "../../../ui/empty";
import { deletion, deletionFault, undoDeletion } from "./deletion";
import "./undo.css";

const UNDO: Action = {
  name: "jobs.undo",
  label: "Undo the deletion",
  keys: "z",
  first: true,
  when: () => deletion.value !== null,
  run() {
    const names = deletion.peek()?.names;
    undoDeletion();
    if (names) say(`${names} stays`);
  },
};

export function Undo() {
  useActions("Jobs", [UNDO]);
  const fault = deletionFault.value;
  return (
    <>
      {deletion.value && (
        <section class="jobs-undo" aria-label="Deletion">
          <span>{deletion.value.names} will be deleted</span>
          <span class="jobs-undo-time" aria-hidden="true" />
          <ActionButton action={UNDO} small>
            Undo
          </ActionButton>
        </section>
      )}
      {fault && (
        <section class="jobs-undo jobs-undo-fault" aria-label="Deletion">
          <ErrorNote title="Not everything was deleted" error={fault}>
            <Button
              small
              onClick={() => {
                deletionFault.value = null;
              }}
            >
              Dismiss
            </Button>
          </ErrorNote>
        </section>
      )}
    </>
  );
}
