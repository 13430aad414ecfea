/** Deletes an endpoint once its name has been typed. */
import { useState } from "preact/hooks";
import { useAttempt } from "../../../api/client";
import type { Deployment } from "../../../contract.gen";
import { clean } from "../../../lib/text";
import { go, href } from "../../../router";
import { Button } from "../../../ui/controls/button";
import { announce } from "../../../ui/controls/live";
import { Field, submits } from "../../../ui/controls/switch";
import { Dialog } from "../../../ui/dialog";
import { ErrorNote } from "../../../ui/empty";
import { placeOf } from "../address";
import { deleteEndpoint } from "../store";

export function Delete({ deployment }: { deployment: Deployment }) {
  const [confirming, setAsking] = useState(false);
  return (
    <section class="ep-section">
      <h2>Delete</h2>
      <p class="dim">
        Callers get 404 from then on, and its keys no longer work. The job and its adapters stay.
      </p>
      <p>
        <Button kind="danger" onClick={() => setAsking(true)}>
          Delete endpoint
        </Button>
      </p>
      {confirming && <Question deployment={deployment} onClose={() => setAsking(false)} />}
    </section>
  );
}

function Question({ deployment, onClose }: { deployment: Deployment; onClose: () => void }) {
  const [typed, setTyped] = useState("");
  const { busy, error, attempt } = useAttempt();
  const slug = clean(deployment.slug, 60);
  const sure = typed.trim() === deployment.slug;
  const remove = async (): Promise<void> => {
    if (!sure || busy) return;
    await attempt(async () => {
      await deleteEndpoint(deployment.id);
      announce(`Endpoint ${slug} deleted`);
      go(href("/endpoints"));
    });
  };
  return (
    <Dialog title={`Delete ${slug}?`} onClose={onClose}>
      <form onSubmit={submits(remove)}>
        <p class="ui-dialog-text">{placeOf(slug)} stops answering at once. This cannot be undone.</p>
        <Field label={`Type ${slug} to delete it`} for="ep-sure">
          <input
            id="ep-sure"
            class="ui-input mono"
            value={typed}
            autoComplete="off"
            spellcheck={false}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
        </Field>
        {error && <ErrorNote title="The endpoint was not deleted" error={error} />}
        <div class="ui-dialog-actions">
          <Button onClick={onClose}>Back</Button>
          <Button type="submit" kind="danger" busy={busy} disabled={!sure}>
            Delete endpoint
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
