"""A job's place on a node, in an actor's process: it keeps the job's files and its worker, also alone.

It outlives the driver: a worker that has all it needs trains on, what it says is kept on the disk until it is
known, and a later driver finds the actor by its name. One of whom nobody hears for too long removes itself.

Files lie under the node's folder for temporary files, in one of this user's own: those that are sent once and
used again by their hash in ``files``, each job in a folder of its own in ``jobs``. What earlier jobs have
left goes when the next one starts. The worker is the one that trains anywhere, without what Ray has put into
the environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

import arkor_dev
from arkor_dev.local.cluster.away.leftovers import locked, own_folder, sweep
from arkor_dev.local.cluster.away.proof import proof
from arkor_dev.local.cluster.away.spool import Spool
from arkor_dev.local.cluster.names import CHUNK, FOLDERS, SHA256, described, is_safe
from arkor_dev.local.cluster.storage.node_share import NodeShare
from arkor_dev.local.workers.process import LESS_MEMORY, Child

from .facts import facts

WORKER: Final = "arkor_dev.local.training.worker"
WAITING_BYTES: Final = 256 << 20
"""Messages that wait for a driver at the most, on the disk: then the worker waits."""
AGAIN_BYTES: Final = 8 << 20
"""What of them stays though it is known."""
TOGETHER_BYTES: Final = 1 << 20
FREE_SECONDS: Final = 5.0
"""How long this lasts when nothing is heard of the driver, and its job is over."""
ALONE_SECONDS: Final = 60.0
"""The same, before the worker has all that it needs."""
LOOK_SECONDS: Final = 2.0
PAUSE_SECONDS: Final = 0.1
"""What the worker says in so long goes together: each call costs every process on its way a little."""
FULL_SECONDS: Final = 5.0
"""How long is waited for room on the disk for what the worker says."""


class Node:
    """One job's place on a node, called ``name``. Every answer is bytes: JSON, or a piece of a file.

    ``nonce`` proves to a later driver that this is the place. ``away`` are the seconds for which it stays
    when nothing is heard of one: at least `ALONE_SECONDS`, after which one of several workers ends.
    """

    def __init__(self, job_id: str, name: str, nonce: str, away: float) -> None:
        self._name, self._nonce, self._away = name, nonce, max(away, ALONE_SECONDS)
        root = own_folder()
        self._files, jobs = root / "files", root / "jobs"
        for shared in (self._files, jobs):
            shared.mkdir(exist_ok=True)
        with (root / "lock").open("w") as turn:  # a folder that is made is no leftover
            fcntl.flock(turn, fcntl.LOCK_EX)
            sweep(self._files, jobs)
            self._home = Path(tempfile.mkdtemp(prefix=f"{job_id}-", dir=jobs))
            self._lock = locked(self._home)
        for folder in ("data", "project"):
            (self._home / folder).mkdir()
        self._job = self._home / "data" / "jobs" / job_id
        self._digests, self._share = dict[str, Any](), NodeShare(self._job, self._hear)
        self._child: Child | None = None
        self._begun = self.closed = False
        self._said = Spool(self._home / "said", WAITING_BYTES, AGAIN_BYTES)
        self._news, self._taken, self._followed = asyncio.Event(), asyncio.Event(), threading.Event()
        self._over: dict[str, Any] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard = time.monotonic()
        threading.Thread(target=self._watch, name="who is there", daemon=True).start()

    def _hear(self) -> None:
        self._heard = time.monotonic()

    async def prove(self, challenge: str) -> bytes:
        """That this is the place of its nonce: JSON of ``proof``, ``begun``, and the ``first`` message kept.

        ``begun`` says whether the worker has all that it needs.
        """
        self._heard = time.monotonic()
        told = {"begun": self._begun, "first": self._said.first}
        return json.dumps(told | {"proof": proof(self._nonce, self._name, challenge)}).encode()

    async def facts(self) -> bytes:
        """What this machine has, with ``node``, its address, and ``home``, the folder of this job."""
        import ray

        where = {"node": ray.util.get_node_ip_address(), "home": str(self._home)}
        return json.dumps(json.loads(facts()) | where).encode()

    # Files that come

    async def share(self, root: str) -> bytes:
        """Use ``root``, a folder or an address, for checkpoints; why that cannot be, empty where it can."""
        return await asyncio.to_thread(self._share.use, root)

    async def taken(self) -> bytes:
        """How many files came from there."""
        return str(self._share.taken).encode()

    async def lacks(self, sizes: dict[str, int]) -> bytes:
        """The hashes of ``sizes``, bytes by hash, that are not here, as JSON; the others stay for a time."""
        self._heard = time.monotonic()
        return await asyncio.to_thread(self._lacks, sizes)

    def _lacks(self, sizes: dict[str, int]) -> bytes:
        missing = []
        for sha256, size in sizes.items():
            try:
                os.utime(self._stored(sha256))
            except FileNotFoundError:
                if not self._share.take(sha256, size, self._home, self._stored(sha256)):
                    missing.append(sha256)
        return json.dumps(missing).encode()

    async def put(self, sha256: str, offset: int, piece: bytes, size: int) -> bytes:
        """Take a piece of a file of ``size`` bytes; it is here when all of them are. Raises OSError."""
        self._heard = time.monotonic()
        stored, part = self._stored(sha256), self._home / f"{sha256}.part"
        with part.open("r+b" if offset else "wb") as file:
            if file.seek(0, os.SEEK_END) != offset:
                raise OSError(f"{sha256[:12]} goes on with another piece than the next one")
            file.write(piece)
        # All of it is hashed as it comes: what has many gigabytes is read for longer than a call may take.
        digest = self._digests[sha256] = self._digests[sha256] if offset else hashlib.sha256()
        digest.update(piece)
        if offset + len(piece) == size:
            if digest.hexdigest() != sha256:
                part.unlink()
                raise OSError(f"{sha256[:12]} came with other bytes than it was sent with")
            part.replace(stored)
        return b"{}"

    async def lay(self, names: dict[str, str], links: dict[str, str]) -> bytes:
        """Put files, by name their hashes, where the job finds them; ``links`` lead to such a name.

        A file of the job's own (``data/…``) is a copy, since a job may write to it.
        """
        self._heard = time.monotonic()
        for name, sha256 in names.items():
            place = self._place(name)
            stored = self._stored(sha256)
            if name.startswith("data/"):
                shutil.copyfile(stored, place)
                self._share.laid(name, sha256)
            else:
                os.link(stored, place)
        for name, to in links.items():
            if is_safe(to):
                self._place(name).symlink_to(self._home / to)
        return b"{}"

    def _place(self, name: str) -> Path:
        if not is_safe(name):
            raise OSError(f"{name!r} is no file's name")
        place = self._home / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        return place

    def _stored(self, sha256: str) -> Path:
        if not SHA256.fullmatch(sha256):
            raise OSError("it is no hash")
        return self._files / sha256

    # The worker

    async def start(self, job: bytes, threads: int | None) -> bytes:
        """Start the worker for ``job``, as JSON, with the folders of this node in it."""
        told = json.loads(job)
        env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        env.pop("OMP_NUM_THREADS", None)  # Ray has set it to the processors that it was asked for
        if threads is not None:
            env["OMP_NUM_THREADS"] = str(threads)
        env |= {"PYTHONSAFEPATH": "1", "PYTHONPATH": str(Path(arkor_dev.__file__).parents[1])}
        self._child = await Child.start(WORKER, env, alone=True)
        self._child.send(**told, data=str(self._home / "data"), project=str(self._home / "project"))
        self._keep(self._pump(self._child))
        return b"{}"

    async def tell(self, message: bytes) -> bytes:
        """Pass a message on to the worker; a ``path`` in it is one of this node's files."""
        told = json.loads(message)
        if "path" in told:
            told["path"] = str(self._home / told["path"])
        if self._child:
            self._child.send(**told)
            self._begun |= "path" in told
        return b"{}"

    async def take(self, after: int, known: int, seconds: float) -> bytes:
        """What the worker has said from message ``after`` on, as JSON: ``{messages, over}``.

        Waits so long for the first one. What came before message ``known`` is forgotten. ``over`` is how the
        worker ended, where it has and there is nothing more: ``{killed, cause}``.
        """
        self._heard = time.monotonic()
        self._said.forget(known)
        self._taken.set()
        if self._said.count <= after and self._over is None:
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), seconds)
        self._heard = time.monotonic()
        messages = [json.loads(line) for line in self._said.take(after, TOGETHER_BYTES)]
        over = self._over if after + len(messages) == self._said.count else None
        return json.dumps({"messages": messages, "over": over}).encode()

    def _keep(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pump(self, child: Child) -> None:
        gone = asyncio.ensure_future(child.gone())  # its last word is not waited for any longer
        async for batch in child.batches():
            lines = [json.dumps(message).encode() for message in batch]
            while not self._added(lines):  # noqa: ASYNC110 - a disk tells nobody that it has room
                await asyncio.sleep(FULL_SECONDS)
            self._news.set()
            while self._said.full:
                self._taken.clear()
                await self._taken.wait()
            await asyncio.wait({gone}, timeout=PAUSE_SECONDS)
        await child.ended()
        self._over = {"killed": child.killed, "cause": child.cause("The training process", LESS_MEMORY)}
        self._news.set()

    def _added(self, lines: list[bytes]) -> bool:
        try:
            self._said.add(lines)
        except OSError:  # the disk is full: the worker is told nothing, and waits
            return False
        return True

    def _watch(self) -> None:
        """End it all once nobody has been heard for too long, unless another job has followed this one."""
        while time.monotonic() - self._heard < (self._away if self._begun else ALONE_SECONDS):
            if self._followed.wait(LOOK_SECONDS):
                return
        if self._child:
            self._child.kill()
        shutil.rmtree(self._home, ignore_errors=True)
        os._exit(0)

    async def snapshot(self, below: str) -> bytes:
        """Keep the job's files below ``below`` as they are now: JSON of each one's name, bytes and hash."""
        self._heard = time.monotonic()
        return await asyncio.to_thread(self._snapshot, below)

    def _snapshot(self, below: str) -> bytes:
        out = self._home / "out"
        shutil.rmtree(out, ignore_errors=True)
        found = []
        for path in sorted((self._job / below).rglob("*")):
            name = path.relative_to(self._job).as_posix()
            unfinished = any(part.endswith(".part") for part in name.split("/"))
            if unfinished or name.split("/")[0] not in FOLDERS or path.is_symlink() or not path.is_file():
                continue
            held = out / name
            held.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.link(path, held)
                found.append({"name": name, **described(held)})
        self._share.put(found, out)
        return json.dumps(found).encode()

    async def read(self, name: str, offset: int) -> bytes:
        """A piece of a file of the last snapshot."""
        self._heard = time.monotonic()
        if not is_safe(name):
            raise OSError(f"{name!r} is no file's name")

        def piece() -> bytes:
            with (self._home / "out" / name).open("rb") as file:
                file.seek(offset)
                return file.read(CHUNK)

        return await asyncio.to_thread(piece)

    async def close(self) -> bytes:
        """End the worker, and remove the job's files."""
        self._heard = time.monotonic()
        if self._child:
            await self._child.stop()
        shutil.rmtree(self._home, ignore_errors=True)
        self._away, self._heard = FREE_SECONDS, time.monotonic()
        self.closed = self._begun = True
        return b"{}"

    def followed(self) -> None:
        """Let go of all, once another job has taken this one's place."""
        self._followed.set()
        for task in self._tasks:
            task.cancel()
        self._lock.close()
        self._said.close()
