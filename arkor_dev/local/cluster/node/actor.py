"""The Ray actor on a node. It hosts one job after another: each job's files and its training worker.

It outlives the driver. A worker that has everything it needs continues without one; its messages stay on disk
until acknowledged, and a later driver finds the actor by its name. An actor that receives no call from a
driver for too long removes its job and ends.

Files are in this user's folder in the node's temporary folder: reusable ones by hash in ``files``, each job
in its own folder in ``jobs``. Leftovers of earlier jobs are removed when the next one starts. The worker is
the same as on other targets, without the environment variables that Ray has set.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import tempfile
import threading
import time
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import arkor_dev
from arkor_dev.local.cluster.protocol import CHUNK, RETURNED_FOLDERS, SHA256, file_entry, is_safe_name, proof
from arkor_dev.local.cluster.storage.node_side import STORE_PACKAGES, NodeStorage
from arkor_dev.local.execution.messages import REPORTS, Cancel, Command, JobRequest, Pause
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.workers.codec import Codec, encode
from arkor_dev.local.workers.errors import SMALLER
from arkor_dev.local.workers.process import Child

from .job_folders import lock_folder, sweep, user_folder
from .spool import Spool

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from arkor_dev.local.cluster.protocol import ExitStatus, ListedFile

WORKER: Final = "arkor_dev.local.training.worker"
JOB: Final = Codec[JobRequest](JobRequest)
MESSAGES: Final = Codec[Command | Model](Cancel, Pause, Model)
REQUIRED: Final = ("torch", "transformers", "peft")
SPOOL_BYTES: Final = 256 << 20
"""Maximum bytes of messages waiting on disk for a driver: above that, the worker waits."""
REPEATABLE_BYTES: Final = 8 << 20
"""Bytes of acknowledged messages to keep, in case a power cut makes the driver's machine lose some."""
BATCH_BYTES: Final = 1 << 20
CLOSED_SECONDS: Final = 5.0
"""Seconds without a call after which the actor ends, once its job is closed."""
ALONE_SECONDS: Final = 60.0
"""The same, before the worker has everything it needs."""
CHECK_SECONDS: Final = 2.0
PAUSE_SECONDS: Final = 0.1
"""Interval for batching messages, in seconds: each call costs every process on its way a little time."""
FULL_SECONDS: Final = 5.0
"""Seconds to wait for disk space before writing a worker's messages again."""


def machine_facts() -> bytes:
    """Return which packages this machine has installed, as JSON: ``{python, versions, missing}``."""
    versions = {}
    for name in (*REQUIRED, *STORE_PACKAGES):
        with contextlib.suppress(metadata.PackageNotFoundError):
            if importlib.util.find_spec(name) is not None:
                versions[name] = metadata.version(name)
    missing = [name for name in REQUIRED if name not in versions]
    facts = {"python": platform.python_version(), "versions": versions, "missing": missing}
    return json.dumps(facts).encode()


class JobActor:
    """The actor. ``name`` is its current job; see `HostedJob`. All results are bytes.

    Starting an actor takes 0.7 s of processor time, so it can host another job after a finished one.
    """

    def __init__(self, job_id: str, name: str, nonce: str, away: float) -> None:
        self._name, self._job = name, HostedJob(job_id, name, nonce, away)

    async def call(self, name: str, method: str, *arguments: object) -> bytes:
        """Call a method of the job ``name``. Raises OSError if that is not the current job."""
        if name != self._name:
            raise OSError("this actor has another job")
        answer: bytes = await getattr(self._job, method)(*arguments)
        return answer

    async def reuse(self, before: str, job_id: str, name: str, nonce: str, away: float) -> bytes:
        """Host another job after the closed job ``before``; return `HostedJob.facts`."""
        if before != self._name or not self._job.closed:
            raise OSError("its job has not ended")
        self._job.retire()
        self._name, self._job = name, HostedJob(job_id, name, nonce, away)
        return await self._job.facts()


class HostedJob:
    """One job on this node. All results are bytes: JSON, or a chunk of a file.

    ``nonce`` (hexadecimal) proves to a later driver that this is the actor that was created for the job.
    ``away`` is for how many seconds the job keeps running without a call, at least `ALONE_SECONDS`; one of
    several workers ends after `ALONE_SECONDS`.
    """

    def __init__(self, job_id: str, name: str, nonce: str, away: float) -> None:
        self._name, self._nonce, self._away = name, nonce, max(away, ALONE_SECONDS)
        root = user_folder()
        self._files, jobs = root / "files", root / "jobs"
        for folder in (self._files, jobs):
            folder.mkdir(exist_ok=True)
        with (root / "lock").open(
            "w"
        ) as lock:  # otherwise another actor could sweep the folder before it is locked
            fcntl.flock(lock, fcntl.LOCK_EX)
            sweep(self._files, jobs)
            self._home = Path(tempfile.mkdtemp(prefix=f"{job_id}-", dir=jobs))
            self._lock = lock_folder(self._home)
        for subfolder in ("data", "project"):
            (self._home / subfolder).mkdir()
        self._job_folder = self._home / "data" / "jobs" / job_id
        self._digests, self._storage = dict[str, Any](), NodeStorage(self._job_folder, self._touch)
        self._child: Child | None = None
        self._begun = self.closed = False
        self._spool = Spool(self._home / "said", SPOOL_BYTES, REPEATABLE_BYTES)
        self._has_news, self._was_polled, self._retired = asyncio.Event(), asyncio.Event(), threading.Event()
        self._exit_status: ExitStatus | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_call = time.monotonic()
        threading.Thread(target=self._watch, name="driver watch", daemon=True).start()

    def _touch(self) -> None:
        """Record a sign of life from the driver."""
        self._last_call = time.monotonic()

    async def prove(self, challenge: str) -> bytes:
        """Return, as JSON, the ``proof``, ``begun``, and the number of the ``first`` message kept.

        ``begun`` says whether the worker has everything it needs.
        """
        self._touch()
        state = {"begun": self._begun, "first": self._spool.first}
        return json.dumps(state | {"proof": proof(self._nonce, self._name, challenge)}).encode()

    async def facts(self) -> bytes:
        """Return `machine_facts` with ``node``, this node's address, and ``home``, the job's folder."""
        import ray

        job_facts = {"node": ray.util.get_node_ip_address(), "home": str(self._home)}
        return json.dumps(json.loads(machine_facts()) | job_facts).encode()

    # Files from the driver

    async def use_storage(self, root: str) -> bytes:
        """Use ``root``, a folder or address, for checkpoints; return why that fails, or an empty result."""
        return await asyncio.to_thread(self._storage.use, root)

    async def storage_hits(self) -> bytes:
        """Return how many files came from the shared storage."""
        return str(self._storage.hits).encode()

    async def missing_files(self, sizes: dict[str, int]) -> bytes:
        """Return the hashes of ``sizes`` (bytes by hash) that are not on this node, as JSON."""
        self._touch()
        return await asyncio.to_thread(self._missing_files, sizes)

    def _missing_files(self, sizes: dict[str, int]) -> bytes:
        missing = []
        for sha256, size in sizes.items():
            try:
                os.utime(self._stored(sha256))  # `sweep` uses the time of the last use
            except FileNotFoundError:
                if not self._storage.fetch(sha256, size, self._home, self._stored(sha256)):
                    missing.append(sha256)
        return json.dumps(missing).encode()

    async def put(self, sha256: str, offset: int, chunk: bytes, size: int) -> bytes:
        """Append a chunk of a file of ``size`` bytes, which is stored once it is complete. Raises OSError."""
        self._touch()
        stored, part = self._stored(sha256), self._home / f"{sha256}.part"
        with part.open("r+b" if offset else "wb") as file:
            if file.seek(0, os.SEEK_END) != offset:
                raise OSError(f"a chunk of {sha256[:12]} is missing or repeated")
            file.write(chunk)
        # Hashed while it arrives: reading many gigabytes again takes longer than a call may.
        digest = self._digests[sha256] = self._digests[sha256] if offset else hashlib.sha256()
        digest.update(chunk)
        if offset + len(chunk) == size:
            if digest.hexdigest() != sha256:
                part.unlink()
                raise OSError(f"{sha256[:12]} arrived with different content than was sent")
            part.replace(stored)
        return b"{}"

    async def place_files(self, names: dict[str, str], links: dict[str, str]) -> bytes:
        """Put stored files (hashes by name) into the job's folder; ``links`` point to such names.

        A file below ``data/`` is a copy, since the job may write to it; all others are hard links.
        """
        self._touch()
        for name, sha256 in names.items():
            target = self._target(name)
            stored = self._stored(sha256)
            if name.startswith("data/"):
                shutil.copyfile(stored, target)
                self._storage.note_placed(name, sha256)
            else:
                os.link(stored, target)
        for name, link_target in links.items():
            if is_safe_name(link_target):
                self._target(name).symlink_to(self._home / link_target)
        return b"{}"

    def _target(self, name: str) -> Path:
        if not is_safe_name(name):
            raise OSError(f"{name!r} is not a safe file name")
        target = self._home / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        return target

    def _stored(self, sha256: str) -> Path:
        if not SHA256.fullmatch(sha256):
            raise OSError("not a SHA-256 hash")
        return self._files / sha256

    # The worker

    async def start(self, job: bytes, threads: int | None) -> bytes:
        """Start the worker for ``job`` (JSON), using this node's folders."""
        request = JOB.decode(job)
        env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        env.pop("OMP_NUM_THREADS", None)  # Ray has set it to the requested processors
        if threads is not None:
            env["OMP_NUM_THREADS"] = str(threads)
        env |= {"PYTHONSAFEPATH": "1", "PYTHONPATH": str(Path(arkor_dev.__file__).parents[1])}
        self._child = await Child.start(WORKER, env, alone=True)
        home = self._home
        self._child.send(replace(request, data=str(home / "data"), project=str(home / "project")))
        self._create_task(self._read_messages(self._child))
        return b"{}"

    async def send(self, message: bytes) -> bytes:
        """Pass a message (JSON) on to the worker; the paths of models are relative to the job's folder."""
        parsed = MESSAGES.decode(message)
        if isinstance(parsed, Model):
            second = parsed.second and self._home / parsed.second
            parsed = replace(parsed, path=self._home / parsed.path, second=second)
        if self._child:
            self._child.send(parsed)
            self._begun |= isinstance(parsed, Model)
        return b"{}"

    async def poll(self, after: int, acknowledged: int, seconds: float) -> bytes:
        """Return the worker's messages from number ``after`` on, as JSON: ``{messages, over}``.

        Waits up to ``seconds`` for the first one. Messages before number ``acknowledged`` may be dropped.
        ``over`` is ``{killed, cause}`` once the worker has ended and there are no further messages.
        """
        self._touch()
        self._spool.forget(acknowledged)
        self._was_polled.set()
        if self._spool.count <= after and self._exit_status is None:
            self._has_news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._has_news.wait(), seconds)
        self._touch()
        messages = [json.loads(line) for line in self._spool.read(after, BATCH_BYTES)]
        over = self._exit_status if after + len(messages) == self._spool.count else None
        return json.dumps({"messages": messages, "over": over}).encode()

    def _create_task(self, coroutine: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read_messages(self, child: Child) -> None:
        """Write the worker's messages to the spool until it ends."""
        exited = asyncio.ensure_future(
            child.gone()
        )  # ends the pause below, so that final messages are not delayed
        async for batch in child.batches(REPORTS):
            lines = [encode(message).rstrip() for message in batch]
            while not self._add_to_spool(lines):  # noqa: ASYNC110 - no disk announces free space
                await asyncio.sleep(FULL_SECONDS)
            self._has_news.set()
            while self._spool.full:
                self._was_polled.clear()
                await self._was_polled.wait()
            await asyncio.wait({exited}, timeout=PAUSE_SECONDS)
        await child.ended()
        self._exit_status = {"killed": child.killed, "cause": child.cause("The training process", SMALLER)}
        self._has_news.set()

    def _add_to_spool(self, lines: list[bytes]) -> bool:
        try:
            self._spool.add(lines)
        except OSError:  # the disk is full: stop reading from the worker, so that it waits
            return False
        return True

    def _watch(self) -> None:
        """End this process if no call has arrived for too long, unless the actor has another job now."""
        while time.monotonic() - self._last_call < (self._away if self._begun else ALONE_SECONDS):
            if self._retired.wait(CHECK_SECONDS):
                return
        if self._child:
            self._child.kill()
        shutil.rmtree(self._home, ignore_errors=True)
        os._exit(0)

    # Files to the driver

    async def snapshot(self, below: str) -> bytes:
        """Keep the current files of the job in ``below``; return the name, size and hash of each."""
        self._touch()
        return await asyncio.to_thread(self._snapshot, below)

    def _snapshot(self, below: str) -> bytes:
        out = self._home / "out"
        shutil.rmtree(out, ignore_errors=True)
        entries: list[ListedFile] = []
        for path in sorted((self._job_folder / below).rglob("*")):
            name = path.relative_to(self._job_folder).as_posix()
            is_partial = any(part.endswith(".part") for part in name.split("/"))
            is_returned = name.split("/")[0] in RETURNED_FOLDERS
            if is_partial or not is_returned or path.is_symlink() or not path.is_file():
                continue
            # Hard links: the worker may replace or remove the files while they are being sent.
            copy = out / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.link(path, copy)
                entries.append({"name": name, **file_entry(copy)})
        self._storage.put(entries, out)
        return json.dumps(entries).encode()

    async def read(self, name: str, offset: int) -> bytes:
        """Return a chunk of a file of the last snapshot."""
        self._touch()
        if not is_safe_name(name):
            raise OSError(f"{name!r} is not a safe file name")

        def read_chunk() -> bytes:
            with (self._home / "out" / name).open("rb") as file:
                file.seek(offset)
                return file.read(CHUNK)

        return await asyncio.to_thread(read_chunk)

    async def close(self) -> bytes:
        """End the worker and remove the job's files."""
        self._touch()
        if self._child:
            await self._child.stop()
        shutil.rmtree(self._home, ignore_errors=True)
        self._away = CLOSED_SECONDS
        self._touch()
        self.closed = self._begun = True
        return b"{}"

    def retire(self) -> None:
        """Release all resources, once the actor has another job."""
        self._retired.set()
        for task in self._tasks:
            task.cancel()
        self._lock.close()
        self._spool.close()
