/** Before a start: the findings in the data, and what the project does at its end. Loaded when the button is pressed. */
import { api } from "../../api/client";
import type { DataCheck, Finding, NoticeConsent, Trainer } from "../../contract.gen";
import { plural } from "../../lib/format";
import { INVALID } from "../../lib/invalid-rows";
import { clean, displayName } from "../../lib/text";
import { features } from "../../store/features";
import { manifest } from "../../store/manifest";
import { type Changes, hasOtherData } from "../../store/trainer-draft";
import { confirm } from "../../ui/dialog";

const MAX_FINDINGS = 4;

/**
 * The settings with which the start continues: none, or without unreadable rows. Null if it does not. A check that
 * fails asks nothing: training itself reports what is wrong.
 */
export async function askAboutData(trainer: Trainer, changes: Changes): Promise<Changes | null> {
  // The check reads the data set of the file.
  if (manifest.peek()?.source !== "arkor.toml" || hasOtherData(trainer)) return {};
  let errors: Finding[];
  try {
    const report = await api<DataCheck>(`/manifest/data?trainer=${encodeURIComponent(trainer.name)}`);
    errors = report.findings.filter(({ level }) => level === "error");
  } catch {
    return {};
  }
  const skips = { ...trainer.config, ...changes }.skipBadRows === true;
  if (skips) errors = errors.filter(({ code }) => !INVALID.has(code));
  if (errors.length === 0) return {};
  const href = `#/data?trainer=${encodeURIComponent(trainer.name)}`;
  const unreadable = errors.some(({ code }) => INVALID.has(code));
  const sure = await confirm({
    title: `${displayName(trainer.name)} has errors in its data`,
    text: <Errors errors={errors} />,
    ...actionFor(errors, unreadable),
    ...(features.peek().has("datasets") ? { other: { label: "View data", href } } : {}),
  });
  if (!sure) return null;
  return unreadable ? { skipBadRows: true } : {};
}

/** The `[notify]` that was refused: it is not asked about again until it changes, or the page is loaded again. */
let refused = "";

/** Asks, once for each content, whether the project's `[notify]` may take effect; the run starts either way. */
export async function askAboutNotices(): Promise<void> {
  const { pending } = await api<{ pending: NoticeConsent | null }>("/notices");
  if (!pending || pending.mark === refused) return;
  const agreed = await confirm({
    title: "Allow this project's notices?",
    text: (
      <>
        When a job ends, [notify] of arkor.toml would {clean(pending.does.join(", and "), 1000)}. Allow it
        only if you trust this project; the run starts either way.
      </>
    ),
    action: "Allow",
    no: "Run without notices",
  });
  if (agreed) await api("/notices", { method: "POST", body: { mark: pending.mark } });
  else refused = pending.mark;
}

/** The button names what it does: rows with secrets are trained on only if it says so. */
function actionFor(errors: readonly Finding[], unreadable: boolean): { action: string; danger?: boolean } {
  const secret = errors.find(({ code }) => code === "secret");
  if (secret) return { action: `Train on ${plural(secret.count, "row")} with secrets`, danger: true };
  return { action: unreadable ? "Skip invalid rows and run" : "Run anyway" };
}

function Errors({ errors }: { errors: readonly Finding[] }) {
  return (
    <>
      {errors.slice(0, MAX_FINDINGS).map(({ code, title, why, rows }) => (
        <span key={code} class="home-error">
          <strong>{clean(title, 200)}.</strong> {!INVALID.has(code) && clean(why, 300)}
          {rows[0] && (
            <span class="hint">
              <bdi>{clean(`${rows[0].where}: ${rows[0].excerpt}`, 400)}</bdi>
            </span>
          )}
        </span>
      ))}
      {errors.length > MAX_FINDINGS && (
        <span class="home-error">And {errors.length - MAX_FINDINGS} more.</span>
      )}
    </>
  );
}
