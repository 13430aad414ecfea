/** The form for a new endpoint: its target is chosen, and the page proposes its address. */
import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import { ApiError, errorText } from "../../../api/client";
import type { Target } from "../../../chat/model/types";
import { targetTrouble } from "../../../chat/picker/adapter-select";
import { TargetChoice } from "../../../chat/picker/choice";
import { baseModels, defaultTarget, nameTarget, parseTarget } from "../../../chat/targets";
import { go, href, route } from "../../../router";
import { served } from "../../../store/features";
import { jobs, jobsState } from "../../../store/jobs";
import { loadManifest, manifest, manifestError } from "../../../store/manifest";
import { Button } from "../../../ui/controls/button";
import { announce } from "../../../ui/controls/live";
import { Field, submits } from "../../../ui/controls/switch";
import { ErrorNote } from "../../../ui/empty";
import { baseUrlOf } from "../address";
import {
  type AuthMode,
  DEFAULT_DAYS,
  daysTrouble,
  MAX_SLUG,
  type RetentionMode,
  retentionBody,
  slugOf,
  slugTrouble,
  toWire,
} from "../model";
import { createEndpoint } from "../store";
import { AccessField, RetentionField } from "./fields";

export function Create() {
  const [picked, setPicked] = useState<Target | null>(() =>
    parseTarget(route.peek().query.get("target") ?? ""),
  );
  const [typed, setTyped] = useState<string | null>(null);
  const [auth, setAuth] = useState<AuthMode>("fixed_api_key");
  const [keep, setKeep] = useState<{ mode: RetentionMode; days: number }>({
    mode: "days",
    days: DEFAULT_DAYS,
  });
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<{ status: number; text: string } | null>(null);
  useEffect(() => void loadManifest(), []);

  const target = picked ?? defaultTarget(jobs.value, baseModels(jobs.value, manifest.value, served.value));
  const known = jobsState.value.loaded && (manifest.value ?? manifestError.value) !== null;
  // Keeps the proposal even if another job ends while the form is being filled in.
  useLayoutEffect(() => {
    if (known) setPicked((now) => now ?? target);
  });
  const slug = typed ?? (target ? slugOf(nameTarget(target, jobs.value).name) : "");
  const wrongSlug = slugTrouble(slug);
  const wrongTarget = target ? targetTrouble(target) : "Choose what the endpoint serves.";
  const wrongDays = keep.mode === "days" ? daysTrouble(keep.days) : null;
  const conflict = fault?.status === 409 ? fault.text : null;

  const submit = async (): Promise<void> => {
    setTried(true);
    if (busy || !target || wrongSlug || wrongTarget || wrongDays) return;
    setBusy(true);
    setFault(null);
    try {
      const endpoint = await createEndpoint({
        slug,
        target: toWire(target),
        authMode: auth,
        ...retentionBody(keep.mode, keep.days),
      });
      announce(`Endpoint ${endpoint.slug} created`);
      go(href("/endpoints", { id: endpoint.id }));
    } catch (error) {
      setFault({ status: error instanceof ApiError ? error.status : -1, text: errorText(error) });
      setBusy(false);
    }
  };
  return (
    <form class="ep ep-form" noValidate onSubmit={submits(submit)}>
      <p class="ep-back">
        <a href={href("/endpoints")}>Endpoints</a>
      </p>
      <h1 tabIndex={-1}>New endpoint</h1>
      <Field label="Serves" for="ep-target" error={tried ? wrongTarget : null}>
        <TargetChoice id="ep-target" label="Serves" target={target ?? undefined} onPick={setPicked} />
      </Field>
      <Field
        label="Address"
        for="ep-slug"
        hint={baseUrlOf(slug || "…")}
        error={conflict ?? (tried || typed !== null ? wrongSlug : null)}
      >
        <input
          id="ep-slug"
          class="ui-input mono"
          value={slug}
          maxLength={MAX_SLUG + 1}
          autoComplete="off"
          spellcheck={false}
          onInput={(event) => {
            setTyped(event.currentTarget.value);
            setFault(null);
          }}
        />
      </Field>
      <AccessField value={auth} onChange={setAuth} />
      <RetentionField mode={keep.mode} days={keep.days} onChange={(mode, days) => setKeep({ mode, days })} />
      {fault && !conflict && <ErrorNote title="The endpoint was not created" error={fault.text} />}
      <div class="ep-buttons">
        <Button type="submit" kind="primary" busy={busy}>
          Create endpoint
        </Button>
        <Button kind="quiet" onClick={() => go(href("/endpoints"))}>
          Back
        </Button>
      </div>
    </form>
  );
}
