/** Endpoints: addresses at which the backend, or Studio for it, serves a model to other programs. */
import "./endpoints.css";
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { ActionButton } from "../../actions/action-button";
import { type Action, useActions } from "../../actions/actions";
import { go, href, route } from "../../router";
import { setTitle } from "../../store/document-title";
import { Empty, ErrorNote } from "../../ui/empty";
import { Skeleton } from "../../ui/skeleton";
import { servedHere } from "./address";
import { Detail } from "./detail";
import { Create } from "./editing/create";
import { EndpointList } from "./list";
import { QuickStart } from "./quickstart";
import { Stale } from "./stale";
import { deployments, endpointsState, refresh, watchEndpoints } from "./store";

const NEW_ENDPOINT: Action = {
  name: "ep.new",
  label: "New endpoint",
  keys: "n",
  run: () => go(href("/endpoints", { new: 1 })),
};

export default function Endpoints() {
  const { query } = route.value;
  const id = query.get("id");
  const chosen = id ? deployments.value.find((deployment) => deployment.id === id) : undefined;
  const creating = query.get("new") !== null;
  const { absent, loaded } = endpointsState.value;
  useEffect(watchEndpoints, []);
  useNameFocus(creating ? "new" : id);
  useEffect(() => setTitle(chosen ? chosen.slug : "Endpoints"), [chosen?.slug]);
  useActions("Endpoints", [NEW_ENDPOINT]);

  if (absent) {
    return (
      <Page>
        <Empty title="This backend has no endpoints">
          The backend behind this Studio serves no models to other programs.
        </Empty>
      </Page>
    );
  }
  if (creating) return <Create />;
  if (id && chosen) return <Detail key={id} deployment={chosen} />;
  if (id && loaded) {
    return (
      <Page>
        <Empty title="This endpoint does not exist" action={<a href={href("/endpoints")}>All endpoints</a>}>
          It may have been deleted.
        </Empty>
      </Page>
    );
  }
  return (
    <Page action>
      <Body />
    </Page>
  );
}

/** Focuses the heading when another endpoint is opened, as a change of page does. */
function useNameFocus(page: string | null): void {
  const before = useRef(page);
  useLayoutEffect(() => {
    if (before.current === page) return;
    before.current = page;
    document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
  }, [page]);
}

function Page({ action, children }: { action?: boolean; children: ComponentChildren }) {
  return (
    <div class="ep">
      <header class="ep-top">
        <h1 tabIndex={-1}>Endpoints</h1>
        {action && endpointsState.value.loaded && deployments.value.length > 0 && (
          <ActionButton action={NEW_ENDPOINT} kind="primary" />
        )}
      </header>
      {children}
    </div>
  );
}

function Body() {
  const { loaded, error, scopeMissing } = endpointsState.value;
  const list = deployments.value;
  if (!loaded)
    return error ? (
      <ErrorNote title="The endpoints could not be read" error={error} retry={() => void refresh()} />
    ) : (
      <Skeleton lines={4} height={20} />
    );
  return (
    <>
      <Stale />
      {list.length === 0 ? <None scopeMissing={scopeMissing} /> : <EndpointList list={list} />}
      {/* Only for endpoints with their own address. */}
      {!servedHere() && (
        <p class="ep-docs hint">
          <a href="https://docs.arkor.ai/studio/endpoints" target="_blank" rel="noopener noreferrer">
            How endpoints work
          </a>
        </p>
      )}
    </>
  );
}

function None({ scopeMissing }: { scopeMissing: boolean }) {
  return (
    <>
      <Empty
        title="Give a model its own address"
        action={<ActionButton action={NEW_ENDPOINT} kind="primary" />}
      >
        An endpoint serves an adapter or a base model as an OpenAI-compatible API, for your apps to call.
        {scopeMissing &&
          " This project is not known to the backend yet; creating an endpoint or running a training makes it known."}
      </Empty>
      <QuickStart title="How your apps will call it" slug="my-model" auth="fixed_api_key" />
    </>
  );
}
