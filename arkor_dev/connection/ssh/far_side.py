"""The program that the other machine runs: its text is sent over ssh, so it uses only the standard library.

It reads requests from standard input, one JSON object per line (``code`` and ``put`` are followed by the
bytes that they announce), and answers each with JSON lines: any number of ``{"step"}``, then ``{"done": …}``
or ``{"fault"}``. Between requests it watches the backend that was started last and sends ``{"backend": …}``
when its address changes. It ends with standard input; processes that it has started keep running.

All files are in ``~/.arkor/remote``: ``code/<digest>`` (the package as it was sent), ``envs/<name>``,
``projects/<key>`` (the project's files, the keeper's lock and log), and ``data`` (jobs, adapters, exports).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO, TypedDict, TypeGuard

    class FarRequest(TypedDict, total=False):
        """A request: ``do`` names the method of `FarSide`, which says what it does with the other fields."""

        do: str
        host: str
        key: str
        """The project's folder in ``projects``; ``name`` is that of its files in there."""
        name: str
        code: str
        """The package's digest; ``version`` is for messages."""
        version: str
        env: str | None
        """None: the Python that runs this program."""
        modules: list[str]
        requirements: list[str]
        gpu: list[str]
        """Requirements on a machine with an NVIDIA GPU."""
        files: list[tuple[str, int, str]]
        """Name, size and SHA-256 of each file."""
        path: str
        size: int
        sha256: str
        options: list[str]

    class Keeper(TypedDict):
        """What a keeper writes into its lock: see `arkor_dev.connection.ssh.keeper`."""

        pid: int
        lock: str
        handoff: str
        code: str
        version: str

    class BackendRecord(TypedDict):
        """A keeper's record of its backend."""

        baseUrl: str
        token: str

    class BackendReport(TypedDict):
        """What is sent unrequested: where the backend listens, and whether it will start again."""

        backend: BackendRecord | None
        kept: bool


ROOT: Final = Path.home() / ".arkor" / "remote"
CPU_INDEX: Final = "https://download.pytorch.org/whl/cpu"
NEEDED_BYTES: Final = {True: 9_000_000_000, False: 3_000_000_000}
"""Free disk space for an environment, with NVIDIA's libraries and without."""
SPARE_BYTES: Final = 100_000_000
UNUSED_SECONDS: Final = 86_400.0
"""Age of a package that no backend uses before it is deleted: somebody may be about to start one."""
START_SECONDS: Final = 60.0
END_SECONDS: Final = 20.0
LINE_BYTES: Final = 8 << 20
PIECE: Final = 1 << 16


class FarSideError(Exception):
    """Why a request failed, and the next step."""


class Input:
    """Standard input as lines and counted bytes, without reading ahead of a ``select``."""

    def __init__(self) -> None:
        self._rest = b""

    def line(self, seconds: float) -> bytes | None:
        """Return the next line; None if none came in time, ``b""`` at the end."""
        while b"\n" not in self._rest:
            if not select.select([0], [], [], seconds)[0]:
                return None
            data = os.read(0, PIECE)
            if not data or len(self._rest) > LINE_BYTES:
                return b""
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yield exactly ``size`` bytes; end the program if they do not come."""
        while size:
            data, self._rest = self._rest[:size], self._rest[size:]
            data = data or os.read(0, min(size, PIECE))
            if not data:
                sys.exit(1)
            size -= len(data)
            yield data


def send_message(**message: object) -> None:
    """Send one message."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class FarSide:
    """The requests, one method each."""

    def __init__(self, source: Input) -> None:
        self._input = source
        self.host = "This machine"
        self._watched: Path | None = None
        self._folder = ROOT
        self._last_state: BackendReport | None = None

    # --- looking ------------------------------------------------------------------------------------------

    def look(self, request: FarRequest) -> dict[str, object]:
        """Return Python, tools and space of this machine, and which parts it already has."""
        return {
            "python": ".".join(map(str, sys.version_info[:3])),
            "gpu": _gpu(),
            "code": (ROOT / "code" / request["code"]).is_dir(),
            "env": _python_of(request["env"]).exists(),
            "lacks": [name for name in request["modules"] if find_spec(name) is None],
            "home": str(Path.home()),
        }

    # --- the package and its environment ------------------------------------------------------------------

    def code(self, request: FarRequest) -> None:
        """Unpack the package that follows, atomically."""
        _make_root()
        packed = b"".join(self._input.pieces(request["size"]))
        if hashlib.sha256(packed).hexdigest() != request["sha256"]:
            raise FarSideError(f"The program arrived damaged on {self.host}. Try again.")
        self._need_space(10 * len(packed))
        target = ROOT / "code" / request["code"]
        part = _fresh(target)
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            archive.extractall(part)
        _publish(part, target)
        used = {
            running.get("code") for project in (ROOT / "projects").glob("*") if (running := _running(project))
        }
        for other in target.parent.iterdir():
            old = time.time() - other.stat().st_mtime > UNUSED_SECONDS
            if old and other.name not in used and other != target:
                shutil.rmtree(other, ignore_errors=True)

    def install(self, request: FarRequest) -> None:
        """Create the environment, or continue an interrupted installation."""
        _make_root()
        target = ROOT / "envs" / str(request["env"])
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(target.with_suffix(".lock")):
            if target.is_dir():
                return
            self._need_space(NEEDED_BYTES[_gpu()])
            part = target.with_name(f"{target.name}.part")
            with target.with_suffix(".log").open("ab") as log:
                self._install(part, request, log)
            part.rename(target)

    def _install(self, part: Path, request: FarRequest, log: BinaryIO) -> None:
        wants = [*request["requirements"], *(request["gpu"] if _gpu() else [])]
        python, uv = str(part / "bin" / "python"), _uv()
        if not (part / "bin" / "python").exists():
            send_message(step=f"Making an environment with {'uv' if uv else 'venv'}")
            command = [uv, "venv", "--python", sys.executable] if uv else [sys.executable, "-m", "venv"]
            self._run([*command, str(part)], log, "On Debian and Ubuntu, install python3-venv there, or uv.")
        gpu = "the build for NVIDIA GPUs" if _gpu() else "the build for processors, where it can be had"
        send_message(step=f"Installing PyTorch ({gpu}) and the training libraries: this takes minutes")
        try_again = "Start again: it continues from here."
        if uv:
            base = [uv, "pip", "install", "--python", python]
            with contextlib.suppress(FarSideError):
                self._run([*base, "--torch-backend=auto", *wants], log, try_again)
                return
            self._run([*base, *wants], log, try_again)
            return
        base = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        torch = [requirement for requirement in wants if re.split(r"[^\w.-]", requirement)[0] == "torch"]
        if torch and not _gpu():
            # The default index has torch, too, if this one cannot be reached.
            with contextlib.suppress(FarSideError):
                self._run([*base, "--retries", "1", "--index-url", CPU_INDEX, *torch], log, try_again)
        self._run([*base, *wants], log, try_again)

    def _run(self, argv: list[str], log: BinaryIO, next_step: str) -> None:
        """Run an installer and report a line of its output every few seconds."""
        reported, last, wrong = time.monotonic(), "", ""
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            assert process.stdout is not None
            for raw in process.stdout:
                log.write(raw)
                last = raw.decode(errors="replace").strip() or last
                wrong = last if last.lower().startswith("error") else wrong  # hints may follow
                if time.monotonic() - reported > 5:
                    reported = time.monotonic()
                    send_message(step=last[:200])
        if process.returncode:
            last = wrong or last
            full = " Its disk is full." if "No space left" in last else ""
            raise FarSideError(
                f"{Path(argv[0]).name} failed on {self.host}: {last[:500]}.{full} {next_step} "
                f"The whole output is in {log.name} there."
            )

    def _need_space(self, size: int) -> None:
        free = shutil.disk_usage(ROOT).free
        if free < size + SPARE_BYTES:
            raise FarSideError(
                f"{self.host} has no space left: {free / 1e9:.1f} GB are free in {ROOT}, and "
                f"{size / 1e9:.1f} GB are needed. Free some there, then start again."
            )

    # --- the project's files ------------------------------------------------------------------------------

    def files(self, request: FarRequest) -> dict[str, list[str]]:
        """Return which of the project's files are missing or different here, by their hashes."""
        folder = self._project(request)
        index, missing = _index(folder), list[tuple[str, int]]()
        for name, size, digest in request["files"]:
            state = _state(folder / request["name"] / name)
            if state is None or index.get(name) != [*state, digest]:
                missing.append((name, size))
        self._need_space(sum(size for _, size in missing))
        return {"missing": [name for name, _ in missing]}

    def put(self, request: FarRequest) -> None:
        """Store one file of the project, atomically."""
        folder = self._project(request)
        base, name = folder / request["name"], request["path"]
        target = base / name
        if ".." in target.parts or not target.is_relative_to(base):
            sys.exit(1)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part, digest, failure = folder / f"put.{os.getpid()}", hashlib.sha256(), None
        with part.open("wb") as file:
            for piece in self._input.pieces(request["size"]):
                digest.update(piece)
                try:
                    if failure is None:
                        file.write(piece)
                except OSError as error:  # the rest must still be read
                    failure = error
        if failure is not None or digest.hexdigest() != request["sha256"]:
            part.unlink()
            reason = (
                f"cannot be stored on {self.host}: {failure.strerror}"
                if failure
                else "changed while it was sent"
            )
            raise FarSideError(f"{name} {reason}. {'Free some space there' if failure else 'Try again'}.")
        part.replace(target)
        index = _index(folder)
        index[name] = [*(_state(target) or ()), request["sha256"]]
        temporary = folder / f"index.{os.getpid()}"
        temporary.write_text(json.dumps(index))
        temporary.replace(folder / "files.json")

    def _project(self, request: FarRequest) -> Path:
        _make_root()
        folder = ROOT / "projects" / str(request["key"])
        (folder / request["name"]).mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    # --- the backend --------------------------------------------------------------------------------------

    def start(self, request: FarRequest) -> BackendRecord:
        """Start the project's backend unless it runs, and return where it listens and its token."""
        folder = self._project(request)
        with _locked(folder / "start.lock"):
            keeper = _running(folder)
            if keeper and keeper.get("code") != request["code"]:
                self._end_idle(keeper, request)
                keeper = None
            if not keeper:
                keeper = self._spawn(folder, request)
        self._folder, self._watched = folder, Path(keeper["handoff"])
        deadline = time.monotonic() + START_SECONDS
        while (handoff := _handoff(self._watched)) is None:
            if _running(folder) is None:
                raise FarSideError(f"The backend on {self.host} did not start: {_last_line(folder)}")
            if time.monotonic() > deadline:
                raise FarSideError(f"The backend on {self.host} did not start in {START_SECONDS:g} s.")
            time.sleep(0.02)
        self._last_state = {"backend": handoff, "kept": True}
        return handoff

    def _end_idle(self, keeper: Keeper, request: FarRequest) -> None:
        """End a backend of another version, unless jobs are running in it."""
        if active := _active(keeper):
            raise FarSideError(
                f"{self.host} runs this project with arkor-dev {_build(keeper)}, and here is "
                f"{_build(request)}. {active} of its jobs are not over, so it was left alone. Wait for them, "
                f"or pause them with `arkor-dev ssh stop {self.host}`: they resume when you connect again."
            )
        send_message(step=f"Replacing the idle backend of arkor-dev {_build(keeper)}")
        _end(keeper)

    def _spawn(self, folder: Path, request: FarRequest) -> Keeper:
        code = ROOT / "code" / request["code"]
        python = sys.executable if request["env"] is None else str(_python_of(request["env"]))
        # The runtime folder of a login is deleted with the login; the backend then uses one below /tmp.
        left_out = ("XDG_RUNTIME_DIR", "PYTHONHOME")
        env = {key: value for key, value in os.environ.items() if key not in left_out}
        env |= {"PYTHONPATH": str(code), "PYTHONSAFEPATH": "1"}
        argv = [python, "-P", "-m", "arkor_dev.connection.ssh.keeper", str(folder / request["name"])]
        argv += ["--code", request["code"], "--data", str(ROOT / "data"), *request["options"]]
        with os.fdopen(os.open(folder / "keeper.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)) as log:
            process = subprocess.Popen(  # it outlives this program
                argv, env=env, cwd="/", start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while (keeper := _running(folder)) is None or keeper["pid"] != process.pid:
            if process.poll() is not None or time.monotonic() > deadline:
                raise FarSideError(f"The backend on {self.host} did not start: {_last_line(folder)}")
            time.sleep(0.02)
        return keeper

    def status(self, _: FarRequest) -> dict[str, object]:
        """Return every project of this account, and the space that everything takes."""
        projects = []
        for folder in sorted((ROOT / "projects").glob("*")):
            names = [path.name for path in folder.iterdir() if path.is_dir()]
            keeper = _running(folder)
            entry = {"key": folder.name, "name": names[0] if names else folder.name, "running": bool(keeper)}
            if keeper:
                entry |= {"version": keeper.get("version"), "active": _active(keeper)}
            projects.append(entry)
        return {"projects": projects, "bytes": _bytes(ROOT), "root": str(ROOT)}

    def stop(self, _: FarRequest) -> dict[str, int]:
        """End every backend; running jobs pause and resume at the next start."""
        running = [keeper for folder in (ROOT / "projects").glob("*") if (keeper := _running(folder))]
        for keeper in running:
            _end(keeper)
        return {"stopped": len(running)}

    def remove(self, request: FarRequest) -> None:
        """Delete everything, after `stop`."""
        self.stop(request)
        if ROOT.exists():
            shutil.rmtree(ROOT)

    def tick(self) -> None:
        """Report that the watched backend has a new socket or token, or has ended and whether it restarts."""
        if self._watched is None:
            return
        now: BackendReport = {"backend": _handoff(self._watched), "kept": _running(self._folder) is not None}
        if now != self._last_state:
            self._last_state = now
            send_message(**now)


def _build(build: Keeper | FarRequest) -> str:
    return f"{build.get('version')} (build {str(build.get('code'))[:8]})"


def _make_root() -> None:
    ROOT.mkdir(mode=0o700, parents=True, exist_ok=True)
    ROOT.chmod(0o700)


def _gpu() -> bool:
    marks = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/usr/lib/wsl/lib/libcuda.so.1")
    return shutil.which("nvidia-smi") is not None or any(map(os.path.exists, marks))


def _uv() -> str | None:
    return shutil.which(
        "uv", path=f"{os.environ.get('PATH', '')}:{Path.home()}/.local/bin:{Path.home()}/.cargo/bin"
    )


def _python_of(env: str | None) -> Path:
    return ROOT / "envs" / (env or "-") / "bin" / "python"


def _fresh(target: Path) -> Path:
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o700, parents=True)
    return part


def _publish(part: Path, target: Path) -> None:
    try:
        part.rename(target)
    except OSError:  # another connection was first
        shutil.rmtree(part)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _state(path: Path) -> list[int] | None:
    try:
        state = path.lstat()
    except OSError:
        return None
    return [state.st_size, state.st_mtime_ns]


def _json(path: Path) -> dict[str, object]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _index(folder: Path) -> dict[str, object]:
    """Return size, modification time and hash of each file as it arrived, by name."""
    return _json(folder / "files.json")


def _running(folder: Path) -> Keeper | None:
    """Return the record of the keeper that holds the project's lock; None if none does."""
    try:
        with (folder / "keeper.lock").open("r") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                lock = _json(folder / "keeper.lock")
                return lock if _is_keeper(lock) else None
    except OSError:
        pass
    return None


def _is_keeper(record: object) -> TypeGuard[Keeper]:
    return isinstance(record, dict) and isinstance(record.get("pid"), int)


def _end(keeper: Keeper) -> None:
    """End a keeper, and its backend with it."""
    folder = Path(keeper["lock"]).parent
    for number, seconds in ((signal.SIGTERM, END_SECONDS), (signal.SIGKILL, 2.0)):
        deadline = time.monotonic() + seconds
        with contextlib.suppress(ProcessLookupError):
            os.kill(keeper["pid"], number)
        while (now := _running(folder)) and now["pid"] == keeper["pid"]:
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        else:
            return


def _handoff(path: Path) -> BackendRecord | None:
    """Return the keeper's record of its backend; None before there is one."""
    record = _json(path)
    return record if _is_handoff(record) else None


def _is_handoff(record: object) -> TypeGuard[BackendRecord]:
    return isinstance(record, dict) and "token" in record


def _active(keeper: Keeper) -> int:
    path = Path(keeper["handoff"]).with_name("backend.sqlite")
    with contextlib.suppress(sqlite3.Error):
        db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=1)
        with contextlib.closing(db):
            query = "SELECT count(*) FROM jobs WHERE status IN ('queued', 'running')"
            return int(db.execute(query).fetchone()[0])
    return 0


def _last_line(folder: Path) -> str:
    try:
        lines = (folder / "keeper.log").read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1][:500] if lines else "it said nothing."


def _bytes(folder: Path) -> int:
    total = 0
    for at, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(at, name)).st_blocks * 512  # noqa: PTH118 (many files)
    return total


def serve() -> None:
    """Answer requests until standard input ends."""
    os.umask(0o077)
    source = Input()
    side = FarSide(source)
    send_message(ready=True)
    handlers: dict[str, Callable[[FarRequest], object]] = {
        name: getattr(side, name)
        for name in ("look", "code", "install", "files", "put", "start", "status", "stop", "remove")
    }
    while True:
        line = source.line(1.0)
        if line is None:
            side.tick()
            continue
        if not line:
            return
        request: FarRequest = json.loads(line)
        side.host = str(request["host"])
        try:
            send_message(done=handlers[request["do"]](request))
        except FarSideError as fault:
            send_message(fault=str(fault))
        except OSError as error:
            file = f" ({error.filename})" if error.filename else ""
            send_message(
                fault=f"{side.host}: {error.strerror or error}{file}. Look at its disk, then try again."
            )


if __name__ == "__main__":
    serve()
