/** What a job deleted from another's adapter, and where on this machine the rows' text still is. */
import { useState } from "preact/hooks";
import { api, useAnswer, useAttempt } from "../../../api/client";
import type { Certificate } from "../../../contract.gen";
import { bytes, number, plural } from "../../../lib/format";
import { clean } from "../../../lib/text";
import { jobHref } from "../../../router";
import { Button } from "../../../ui/controls/button";
import { confirm } from "../../../ui/dialog";
import { ErrorNote } from "../../../ui/empty";
import { Skeleton } from "../../../ui/skeleton";
import { certificateOf, notFoundWords, repeatWords, shareWords } from "./words";
import "./certificate.css";

/** Lines of a list; the rest is counted. */
const MOST = 20;

export function DeletedRows({ id }: { id: string }) {
  const path = `/jobs/${encodeURIComponent(id)}/certificate`;
  const { answer, error, retry } = useAnswer(
    async (signal) => certificateOf(await api<{ certificate: Certificate }>(path, { signal })),
    [id],
  );
  const [newer, setNewer] = useState<Certificate | null>(null);
  const { busy, error: failed, attempt } = useAttempt();
  const certificate = newer ?? answer;
  if (error) return <ErrorNote title="The certificate could not be read" error={error} retry={retry} />;
  if (!certificate) return <Skeleton lines={4} height={18} />;
  const search = (body: object): Promise<void> =>
    attempt(async () => {
      setNewer(certificateOf(await api<{ certificate: Certificate }>(path, { method: "POST", body })));
    });
  const { copies, dependents, repeat, rows } = certificate;
  const them = rows.length === 1 ? "it" : "them";
  const their = rows.length === 1 ? "Its" : "Their";
  const deletable = copies.filter((copy) => copy.deletable);
  const remove = async (): Promise<void> => {
    const yes = await confirm({
      title: `Delete ${plural(deletable.length, "copy", "copies")}?`,
      text: "Files of jobs, exports, texts in logs and caches that hold text of the rows are deleted. This cannot be undone.",
      action: "Delete",
      danger: true,
    });
    if (yes) await search({ delete: deletable.map((copy) => copy.id) });
  };
  return (
    <div class="certificate">
      <p>
        {plural(rows.length, "row")} deleted from the adapter of{" "}
        <a href={jobHref(certificate.of)}>{clean(certificate.ofName, 200)}</a>: {shareWords(certificate)}
      </p>
      <p>
        {certificate.exact
          ? `The weights have the same bits as if the adapter had been trained without ${them} from the start.`
          : `The weights learned nothing from ${them}, but a training without may end with other bits.`}
        {!certificate.intact && " The file has been changed since."}
      </p>
      <List
        title={rows.length === 1 ? "The row" : "The rows"}
        lines={rows.map(({ where, sha256 }) => `${where}, SHA-256 ${sha256.slice(0, 16)}…`)}
      />
      {!certificate.searchable ? (
        <p>{their} words are all in other rows, too, so they cannot be searched for.</p>
      ) : copies.length === 0 ? (
        <p>{notFoundWords(their, certificate.unsearchedCount)}</p>
      ) : (
        <List
          title={`${their} text is still in`}
          lines={copies.map(({ name, deletable: can }) => (can ? name : `${name} (delete it yourself)`))}
          count={certificate.copiesCount}
        />
      )}
      <List
        title="Not searched, so text may be left there"
        lines={certificate.unsearched}
        count={certificate.unsearchedCount}
      />
      <List
        title={`Learned from ${them}, or may have`}
        lines={dependents.map(
          ({ kind, name, certain, why }) => `${kind} ${name} (${certain ? "" : "maybe: "}${why})`,
        )}
      />
      {certificate.deleted.length > 0 && (
        <p class="hint">{plural(certificate.deleted.length, "copy", "copies")} deleted.</p>
      )}
      {repeat && <p>{repeatWords(repeat, them)}</p>}
      {failed !== null && <ErrorNote error={failed} />}
      <p class="certificate-actions">
        {deletable.length > 0 && (
          <Button busy={busy} onClick={() => void remove()}>
            Delete {plural(deletable.length, "copy", "copies")}
          </Button>
        )}
        <Button busy={busy} onClick={() => void search({})}>
          Search again
        </Button>
        {repeat?.state !== "training" && (
          <Button busy={busy} onClick={() => void search({ repeat: true })}>
            Train from the start and compare
          </Button>
        )}
      </p>
      <p class="hint">
        {number(certificate.files)} files ({bytes(certificate.bytes)}) searched. Backups, copies elsewhere and
        text in other words cannot be found.
      </p>
    </div>
  );
}

/** `count`: of the whole list, if `lines` may be a part of it. */
function List({
  title,
  lines,
  count = lines.length,
}: {
  title: string;
  lines: readonly string[];
  count?: number;
}) {
  if (lines.length === 0) return null;
  return (
    <div>
      <h3>{title}</h3>
      <ul>
        {lines.slice(0, MOST).map((line) => (
          <li key={line}>{clean(line, 400)}</li>
        ))}
        {count > MOST && <li>and {number(count - MOST)} more</li>}
      </ul>
    </div>
  );
}
