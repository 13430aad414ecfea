"""Creates jobs that delete rows from an adapter, and writes their certificates.

The new job trains from before the rows' first use (``training.earlier_run``); the old one stays until someone
deletes it, so nothing is lost if the training fails. The certificate is written when it is first asked for,
after the job has completed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final, NoReturn

from arkor_dev.contract.errors import BadRequestError, ConflictError, NotFoundError, UnavailableError
from arkor_dev.contract.forget import CERTIFICATE, Certificate
from arkor_dev.contract.placement import CLUSTER
from arkor_dev.contract.regular_files import sha256_of
from arkor_dev.contract.run_names import LONGEST
from arkor_dev.contract.schema import SchemaError, check_as
from arkor_dev.contract.shapes import TERMINAL
from arkor_dev.data.exclusions import ENTRY, entry_of, row_hash
from arkor_dev.data.reader import open_data
from arkor_dev.data.sources import SourceError, every_file, files_of, parts_of
from arkor_dev.local.endpoints import deployments
from arkor_dev.local.jobs.atomic_folder import DamagedFolderError, manifest_of
from arkor_dev.local.jobs.database import SECURE_DELETE, TRUNCATE_LOG, transaction
from arkor_dev.local.jobs.forgotten import read_forgotten
from arkor_dev.local.jobs.job_config import left_out_of
from arkor_dev.local.jobs.job_folder import (
    certificate_file,
    final_folder,
    job_folder,
    parent_folder,
    remove_export,
    saved_folder,
)
from arkor_dev.local.jobs.records import now
from arkor_dev.local.jobs.repeatable import why_unrepeatable
from arkor_dev.local.jobs.store import Store, new_id
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.process import Child, passed
from arkor_dev.teacher.ledger import FILE as LEDGER

from .ancestors import check_ancestors
from .dependents import dependents
from .messages import Found, SearchTexts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from arkor_dev.contract.forget import ForgetRepeat, TextCopy
    from arkor_dev.contract.shapes import DatasetSource, Forgotten, Job, JobConfig
    from arkor_dev.local.jobs.async_store import AsyncStore
    from arkor_dev.local.jobs.atomic_folder import RunOrigin
    from arkor_dev.local.jobs.forgotten import ForgottenFacts

WEIGHTS: Final = ".safetensors"
AGAIN: Final = "again"
WORKER: Final = "arkor_dev.local.deletion.search_worker"
LONGEST_SEARCH: Final = 295.0
"""Seconds after which a search is ended: it gives up by itself, unless a single file keeps it."""


class Deletions:
    """Deletes rows from adapters. ``wake`` starts jobs, ``copy_parent`` copies a folder into a new job."""

    def __init__(
        self,
        store: AsyncStore,
        data: Path,
        project: Path,
        wake: Callable[[], None],
        copy_parent: Callable[[Path, str, Path], None],
    ) -> None:
        self._store, self._data, self._project = store, data, project
        self._wake, self._copy_parent = wake, copy_parent
        self._turn = asyncio.Lock()

    async def request(self, job: Job, rows: Sequence[str]) -> Job:
        """Create the job that deletes ``rows`` from the adapter of an ended ``job``.

        Raises BadRequestError for unknown rows, and ConflictError if it cannot be exact.
        """
        if job["status"] not in TERMINAL:
            raise ConflictError(f"The job {job['name']} is {job['status']}: delete rows when it has ended")
        final = await asyncio.to_thread(saved_folder, self._data, job, None)
        config = await self._store.config_of(job)
        if config.get(CLUSTER):
            raise ConflictError(f"The job {job['name']} trained on a cluster, whose checkpoints are not here")
        if (method := config.get("method") or "sft") != "sft":
            raise ConflictError(
                f'Rows cannot be deleted from an adapter of method = "{method}": a row also acts through '
                "others there. Train a new job without them"
            )
        if job["status"] != "completed":
            raise ConflictError(
                f"The job {job['name']} is {job['status']}: its adapter may be of another training "
                "than its settings say"
            )
        if why := await asyncio.to_thread(why_unrepeatable, final):
            raise ConflictError(f"The job {job['name']} {why}")
        where = await asyncio.to_thread(self._located, config, rows)
        already = left_out_of(config)
        if not set(where) - set(already):
            raise ConflictError(f"The job {job['name']} was trained without these rows already")
        jobs = {one["id"]: one for one in await self._jobs()}
        await asyncio.to_thread(check_ancestors, job, jobs, where, self._data, self._project)
        digest = config["leftOut"]["hash"] if already else await asyncio.to_thread(_rows_hash, final)
        if digest is None:
            raise ConflictError(f"It is not known which rows the job {job['name']} was trained on")
        weights = await asyncio.to_thread(weights_hash, final)
        earlier: Forgotten = {"job": job["id"], "name": job["name"], "rows": already, "weights": weights}
        config = {
            **config,
            "leftOut": {"rows": list(dict.fromkeys([*already, *where])), "hash": digest},
            "forgets": [earlier, *config.get("forgets", ())],
        }
        count = "1 row" if len(where) == 1 else f"{len(where)} rows"
        return await self._create(job, f"{job['name'][: LONGEST - 40]} without {count}", config)

    async def certificate(self, job: Job) -> Certificate:
        """Return the certificate of a job that deletes rows; write it the first time.

        Raises NotFoundError for another job, and ConflictError until it has completed.
        """
        facts = await asyncio.to_thread(self._facts, job)
        async with self._turn:
            stored = await asyncio.to_thread(self._stored, job)
            certificate = stored or await self._search(job, facts, None)
        return await self._with_repeat(job, certificate)

    async def search_again(self, job: Job, delete: Sequence[str], *, repeat: bool) -> Certificate:
        """Delete the copies with the ids ``delete``, search again, and return the new certificate.

        ``repeat`` creates a job that trains from the start without the rows, to compare the bits. Raises
        BadRequestError for a copy that does not exist or cannot be deleted.
        """
        facts = await asyncio.to_thread(self._facts, job)
        async with self._turn:
            before = await asyncio.to_thread(self._stored, job)
            deleted = await self._delete(job, facts, delete) if delete else []
            certificate = await self._search(job, facts, before, deleted)
            if repeat:
                config = await self._store.config_of(job)
                config.pop("forgets", None)
                again = await self._create(job, f"{job['name'][: LONGEST - 10]} {AGAIN}", config)
                certificate["repeat"] = {"job": again["id"], "state": "training"}
                file = certificate_file(job_folder(self._data, job["id"]))
                await asyncio.to_thread(file.write_json, certificate)
        return await self._with_repeat(job, certificate)

    # Internal

    def _stored(self, job: Job) -> Certificate | None:
        """Return the job's certificate if it was written here and is whole."""
        stored = certificate_file(job_folder(self._data, job["id"])).read_json()
        try:
            found = check_as(Certificate, stored, CERTIFICATE)
        except SchemaError:
            return None
        return found if found["job"] == job["id"] else None

    async def _jobs(self) -> list[Job]:
        listing: list[Job] = json.loads(await self._store.read(Store.listing))["jobs"]
        return listing

    async def _create(self, job: Job, name: str, config: JobConfig) -> Job:
        job_id, parent = new_id(), parent_folder(self._data, job["id"])
        if parent.is_dir():
            await asyncio.to_thread(self._copy_parent, self._data, job_id, parent)
        created = await self._store.request(Store.create, name, config, None, job.get("parent"), job_id)
        self._wake()
        return created

    def _located(self, config: JobConfig, rows: Sequence[str]) -> list[str]:
        """Return the places of rows given by number, entry or place. Raises BadRequestError."""
        numbers = {int(row) for row in rows if row.isascii() and row.isdigit() and len(row) < 16}
        entries = {row for row in rows if ENTRY.fullmatch(row)}
        for row in rows:
            if row.isdigit() and row not in entries and not (row.isascii() and len(row) < 16):
                raise BadRequestError(f"There is no row {row} in the data set")
        places = dict.fromkeys(row for row in rows if not row.isdigit() and row not in entries)
        if not (numbers or entries):
            return list(places)
        left, seen = set(map(str, numbers)) | entries, dict[int, int]()
        try:
            with open_data(list(every_file(_source(config), self._project, _refuse))) as data:
                for located in data.scan(every=True):
                    digest = row_hash(located.record.raw)
                    seen[digest] = seen.get(digest, 0) + 1
                    # An entry without an occurrence stands for all rows with this content.
                    names = {f"{digest:016x}", entry_of(digest, seen[digest]), str(located.location.number)}
                    if names & (entries | set(map(str, numbers))):
                        places[data.item(located).where] = None
                        left -= names
        except (SourceError, OSError) as fault:
            raise BadRequestError(f"The rows cannot be found: {fault}. Name them by their places") from None
        if left:
            raise BadRequestError(f"There is no row {min(left)} in the data set")
        return list(places)

    def _facts(self, job: Job) -> ForgottenFacts:
        """Return what the training recorded. Raises NotFoundError or ConflictError."""
        if not job["config"].get("forgets"):
            raise NotFoundError(f"The job {job['name']} deletes no rows, so it has no certificate")
        if job["status"] != "completed":
            raise ConflictError(f"The job {job['name']} is {job['status']}: it has no certificate yet")
        facts = read_forgotten(job_folder(self._data, job["id"]))
        if facts is None:
            raise NotFoundError(
                f"What {job['name']} deleted is not known here. If it was imported, its certificate is on "
                "the machine that trained it; else its file is damaged. Delete the rows again to get one"
            )
        return facts

    async def _found(self, job: Job, facts: ForgottenFacts) -> Found:
        names = await self._store.read(Store.names)
        files = await asyncio.to_thread(self._data_files, job["config"])
        request = SearchTexts(facts["passages"], self._data, self._project, dict(names), sorted(files))
        child = await Child.start(WORKER, passed("HOME"), alone=True)
        try:
            child.send(request)
            async with asyncio.timeout(LONGEST_SEARCH):
                return await child.result(Found, "The search")
        except TimeoutError:
            raise UnavailableError("The search took too long and was ended. Nothing was changed") from None
        except JobFailure as failure:
            raise UnavailableError(f"{failure}. Nothing was changed") from None
        finally:
            await child.stop()

    def _data_files(self, config: JobConfig) -> set[Path]:
        try:
            parts = [part for part in parts_of(_source(config)) if part["type"] == "file"]
            return {file.path for part in parts for file in files_of(part, self._project)}
        except (SourceError, OSError):
            return set()

    async def _search(
        self,
        job: Job,
        facts: ForgottenFacts,
        before: Certificate | None,
        deleted: Sequence[TextCopy] = (),
    ) -> Certificate:
        found = await self._found(job, facts)
        listing = await self._jobs()
        served = [(one["slug"], one["target"]) for one in await self._store.read(deployments.listing)]
        final, earlier = final_folder(self._data, job["id"]), job["config"]["forgets"][0]
        after = await asyncio.to_thread(weights_hash, final)
        intact = after is not None and after == (
            before["after"] if before else await asyncio.to_thread(_listed, final)
        )
        certificate: Certificate = {
            "job": job["id"],
            "of": earlier["job"],
            "ofName": earlier["name"],
            "rows": facts["rows"],
            "first": facts["first"],
            "start": facts["start"],
            "steps": facts["steps"],
            "message": facts["message"],
            "exact": await asyncio.to_thread(_repeats_exactly, final),
            "before": earlier["weights"],
            "after": before["after"] if before else after or "",
            "intact": intact,
            "searchedAt": now(),
            "searchable": bool(facts["passages"]["hashes"]),
            "files": found.files,
            "bytes": found.bytes,
            "copies": found.copies,
            "copiesCount": found.copies_count,
            "dependents": await asyncio.to_thread(dependents, self._data, job, listing, served),
            "unsearched": found.unsearched,
            "unsearchedCount": found.unsearched_count,
            "deleted": [*(before["deleted"] if before else ()), *deleted],
        }
        if before and "repeat" in before:
            certificate["repeat"] = before["repeat"]
        await asyncio.to_thread(certificate_file(job_folder(self._data, job["id"])).write_json, certificate)
        return certificate

    async def _delete(self, job: Job, facts: ForgottenFacts, ids: Sequence[str]) -> list[TextCopy]:
        found = await self._found(job, facts)
        copies = {copy["id"]: copy for copy in found.copies}
        for one in ids:
            if one not in copies:
                raise BadRequestError(f"There is no copy {one}: search again")
            if not copies[one]["deletable"]:
                raise BadRequestError(
                    f"{copies[one]['name']} is not deleted here: edit or delete it yourself"
                )
        await asyncio.to_thread(self._delete_files, [copies[one] for one in ids], found)
        await self._store.request(_delete_rows, [found.keys[one] for one in ids if one in found.keys])
        await asyncio.to_thread(
            _delete_answers, self._data, [found.keys[one] for one in ids if one in found.keys]
        )
        return [copies[one] for one in ids]

    def _delete_files(self, copies: Sequence[TextCopy], found: Found) -> None:
        for copy in copies:
            path = found.paths.get(copy["id"])
            if path is None:
                continue
            if copy["kind"] == "export":
                # The export's id is the name of its record or folder below the job's exports.
                parts = path.relative_to(self._data).parts
                remove_export(self._data, copy.get("job", ""), parts[3].partition(".")[0])
            elif path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    async def _with_repeat(self, job: Job, certificate: Certificate) -> Certificate:
        repeat = certificate.get("repeat")
        if repeat is None or repeat["state"] != "training":
            return certificate
        again = await self._store.read(Store.get, repeat["job"])
        state: ForgetRepeat = {"job": repeat["job"], "state": "training"}
        if again is None or again["status"] in TERMINAL:
            done = again is not None and again["status"] == "completed"
            state["state"] = "completed" if done else "failed"
            if done:
                bits = await asyncio.to_thread(weights_hash, final_folder(self._data, repeat["job"]))
                state["same"] = bits == certificate["after"]
            certificate["repeat"] = state
            await asyncio.to_thread(
                certificate_file(job_folder(self._data, job["id"])).write_json, certificate
            )
        return certificate


def weights_hash(folder: Path) -> str | None:
    """Return the SHA-256 of an adapter's weights, of several files that of their hashes; None without any."""
    return _combined([sha256_of(path) for path in sorted(folder.glob(f"*{WEIGHTS}"))])


def _listed(folder: Path) -> str | None:
    """Return the hash of the weights in a folder's manifest."""
    try:
        files = manifest_of(folder)["files"]
    except DamagedFolderError:
        return None
    return _combined([files[name]["sha256"] for name in sorted(files) if name.endswith(WEIGHTS)])


def _combined(digests: Sequence[str]) -> str | None:
    if len(digests) < 2:
        return digests[0] if digests else None
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _rows_hash(folder: Path) -> str | None:
    rows = _origin(folder).get("rows")
    return rows if isinstance(rows, str) else None


def _repeats_exactly(folder: Path) -> bool:
    """Return whether a training from the start has the bits of the adapter in ``folder``."""
    origin = _origin(folder)
    return origin.get("device") == "cpu" and origin.get("consistent") is True


def _origin(folder: Path) -> RunOrigin:
    try:
        origin = manifest_of(folder).get("origin")
    except DamagedFolderError:
        return {}
    return origin if isinstance(origin, dict) else {}


def _source(config: JobConfig) -> DatasetSource:
    return config["datasetSource"]


def _refuse(_: object) -> NoReturn:
    raise SourceError("not a file of the project")


def _delete_rows(store: Store, keys: Sequence[Sequence[str]]) -> None:
    """Delete rows of the jobs' database, and overwrite them on disk."""
    db = store.writing
    db.execute(SECURE_DELETE)
    with transaction(db):
        for table, *values in keys:
            if table == "events":
                db.execute("DELETE FROM events WHERE job = ? AND id = ?", values)
            elif table == "endpoint_requests":
                db.execute("UPDATE endpoint_requests SET said = NULL, error = NULL WHERE seq = ?", values)
    db.execute(TRUNCATE_LOG)


def _delete_answers(data: Path, keys: Sequence[Sequence[str]]) -> None:
    """Delete kept answers of a teacher, and overwrite them on disk."""
    digests = [values for table, *values in keys if table == "answers"]
    if digests:
        with closing(sqlite3.connect(data / LEDGER)) as db:
            db.execute(SECURE_DELETE)
            with db:
                db.executemany("DELETE FROM answers WHERE hash = ?", digests)
            db.execute(TRUNCATE_LOG)
