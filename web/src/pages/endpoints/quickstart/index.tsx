/** How to call an endpoint, in the selected programming language. */
import { useState } from "preact/hooks";
import { CopyButton } from "../../../ui/controls/copy";
import { Chips } from "../../../ui/controls/switch";
import { baseUrlOf } from "../address";
import type { AuthMode } from "../model";
import { LANGUAGES, type Language, quickstart } from "./snippets";

export function QuickStart({
  slug,
  auth,
  method,
  title = "Quick start",
}: {
  slug: string;
  auth: AuthMode;
  /** What the model was trained with, if it is known. */
  method?: string | null | undefined;
  title?: string;
}) {
  const [language, setLanguage] = useState<Language>("curl");
  const code = quickstart(language, slug, auth, baseUrlOf(slug), method);
  return (
    <section class="ep-section" aria-labelledby="ep-quickstart">
      <h2 id="ep-quickstart">{title}</h2>
      {code === null ? (
        <p class="dim">No endpoint can have this address, so there is no code to copy.</p>
      ) : (
        <>
          <div class="ep-languages">
            <Chips label="Language" items={LANGUAGES} value={language} onChange={setLanguage} />
            <CopyButton small text={code} label="Copy code" />
          </div>
          <pre class="ep-code" dir="ltr" tabIndex={0} role="region" aria-label="Code">
            <code>{code}</code>
          </pre>
        </>
      )}
    </section>
  );
}
