"""What runs on a node: an actor that keeps one job's files and its worker, for as long as the driver lives.

Files lie under the node's folder for temporary files, in one of this user's own: those that are sent once and
used again by their hash in ``files``, each job in a folder of its own in ``jobs``. What earlier actors have
left there goes when the next one starts. The worker is the one that trains on any machine, in the environment
that it has there; of this actor's own, what Ray has put into it is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import importlib.util
import json
import os
import platform
import shutil
import tempfile
import time
from collections import deque
from importlib import metadata
from pathlib import Path
from typing import IO, Any, Final

from arkor_dev.local.workers.process import Child

from .names import CHUNK, FOLDERS, SHA256, described, is_safe

WORKER: Final = "arkor_dev.local.training.worker"
NEEDED: Final = ("torch", "transformers", "peft")
KEPT_SECONDS: Final = 7 * 24 * 3600
"""How long a file stays that no job has used."""
WAITING_BYTES: Final = 64 << 20
"""Messages that wait for the driver at the most: then the worker waits."""
TOGETHER_BYTES: Final = 1 << 20
ALONE_SECONDS: Final = 60.0
"""How long the worker goes on when nothing is heard of the driver."""


def facts() -> bytes:
    """What a node has of what training needs, as JSON: ``{python, versions, missing}``."""
    versions = {}
    for name in NEEDED:
        with contextlib.suppress(metadata.PackageNotFoundError):
            if importlib.util.find_spec(name) is not None:
                versions[name] = metadata.version(name)
    missing = [name for name in NEEDED if name not in versions]
    told = {"python": platform.python_version(), "versions": versions, "missing": missing}
    return json.dumps(told).encode()


def own_folder() -> Path:
    """A folder of this user's alone for temporary files; another one where somebody else has the name."""
    folder = Path(tempfile.gettempdir()) / f"arkor-dev-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not folder.is_symlink() and found.st_uid == os.getuid() and not found.st_mode & 0o077:
        return folder
    return Path(tempfile.mkdtemp(prefix="arkor-dev-"))


class Node:
    """One job's place on a node. Every answer is bytes: JSON, or a piece of a file."""

    def __init__(self, job_id: str) -> None:
        root = own_folder()
        self._files, jobs = root / "files", root / "jobs"
        for folder in (self._files, jobs):
            folder.mkdir(exist_ok=True)
        with (root / "lock").open("w") as turn:  # a folder that is made is no leftover
            fcntl.flock(turn, fcntl.LOCK_EX)
            _sweep(self._files, jobs)
            self._home = Path(tempfile.mkdtemp(prefix=f"{job_id}-", dir=jobs))
            self._lock = _locked(self._home)
        for name in ("data", "project"):
            (self._home / name).mkdir()
        self._job = self._home / "data" / "jobs" / job_id
        self._child: Child | None = None
        self._said: deque[bytes] = deque()
        self._first = self._size = 0
        self._news, self._taken = asyncio.Event(), asyncio.Event()
        self._over: dict[str, Any] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard = time.monotonic()

    async def facts(self) -> bytes:
        """`facts`, with ``node``, its address, and two folders: ``home`` of this job, ``code`` of ours."""
        import ray

        where = {"node": ray.util.get_node_ip_address()}
        told = json.loads(facts()) | where | {"home": str(self._home), "code": str(Path(__file__).parents[2])}
        return json.dumps(told).encode()

    # Files that come

    async def lacks(self, hashes: list[str]) -> bytes:
        """Those of ``hashes`` that are not here, as JSON; the others stay for the time to come."""
        missing = []
        for sha256 in hashes:
            try:
                os.utime(self._stored(sha256))
            except FileNotFoundError:
                missing.append(sha256)
        return json.dumps(missing).encode()

    async def put(self, sha256: str, offset: int, piece: bytes, size: int) -> bytes:
        """Take a piece of a file of ``size`` bytes; it is here when all of them are. Raises OSError."""
        self._heard = time.monotonic()
        part = self._home / f"{sha256}.part"
        with part.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            file.write(piece)
        if offset + len(piece) == size:
            if described(part)["sha256"] != sha256:
                part.unlink()
                raise OSError(f"{sha256[:12]} came with other bytes than it was sent with")
            part.replace(self._stored(sha256))
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
        env["PYTHONSAFEPATH"] = "1"
        env["PYTHONPATH"] = str(Path(__file__).parents[2])
        self._child = await Child.start(WORKER, env, alone=True)
        self._child.send(**told, data=str(self._home / "data"), project=str(self._home / "project"))
        self._keep(self._pump(self._child))
        self._keep(self._watch())
        return b"{}"

    async def tell(self, message: bytes) -> bytes:
        """Pass a message on to the worker; a ``path`` in it is one of this node's files."""
        told = json.loads(message)
        if "path" in told:
            told["path"] = str(self._home / told["path"])
        if self._child:
            self._child.send(**told)
        return b"{}"

    async def take(self, after: int, seconds: float) -> bytes:
        """What the worker has said from message ``after`` on, as JSON: ``{messages, over}``.

        Waits so long for the first one. What came before is forgotten. ``over`` is how the worker ended,
        where it has and there is nothing more: ``{killed, cause}``.
        """
        self._heard = time.monotonic()
        while self._said and self._first < after:
            self._size -= len(self._said.popleft())
            self._first += 1
        self._taken.set()
        if not self._said and self._over is None:
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), seconds)
        self._heard = time.monotonic()
        messages, size = [], 0
        for line in self._said:
            messages.append(json.loads(line))
            size += len(line)
            if size >= TOGETHER_BYTES:
                break
        over = self._over if len(messages) == len(self._said) else None
        return json.dumps({"messages": messages, "over": over}).encode()

    def _keep(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pump(self, child: Child) -> None:
        async for batch in child.batches():
            for message in batch:
                line = json.dumps(message).encode()
                self._said.append(line)
                self._size += len(line)
            self._news.set()
            while self._size > WAITING_BYTES:
                self._taken.clear()
                await self._taken.wait()
        await child.ended()
        self._over = {"killed": child.killed, "cause": child.cause("The training process")}
        self._news.set()

    async def _watch(self) -> None:
        while (left := ALONE_SECONDS - (time.monotonic() - self._heard)) > 0:  # noqa: ASYNC110 - silence
            await asyncio.sleep(left)
        await self.close()
        os._exit(0)

    # Files that go back

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
        if self._child:
            await self._child.stop()
        shutil.rmtree(self._home, ignore_errors=True)
        return b"{}"


def _locked(home: Path) -> IO[str]:
    """A lock in a job's folder that lasts as long as this process: without it the folder is a leftover."""
    file = (home / "lock").open("w")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def _sweep(files: Path, jobs: Path) -> None:
    """Remove the folders of actors that are gone, and files that no job has used for long."""
    for home in jobs.iterdir():
        with contextlib.suppress(OSError), (home / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(home, ignore_errors=True)
    for path in files.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                path.unlink()
