"""The process that talks to the Hub: reads one order, reports progress, answers and ends.

The Hub's library finds the token in its login file or in HF_TOKEN; our code never passes it on. Interrupted
uploads are retried: the Hub identifies files by hash, so none is sent twice, nor is an empty commit created.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Unpack
from urllib.parse import urlsplit

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants, get_token
from huggingface_hub.errors import RepositoryNotFoundError

from arkor_dev.core.plain_text import one_line
from arkor_dev.data.findings.privacy import Private

from .messages import UploadProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import BinaryIO

    from .messages import Commit, LookOrder, Message, Pushed, PushOrder, Repository, RepositoryState


WRITTEN: Final = frozenset({"README.md", "adapter_config.json", "config.json", "provenance.json"})
"""Text files that we write. Others (a vocabulary, a template) may contain text that only resembles a path."""
LIMIT: Final = 2**24
CHUNK: Final = 2**22
LEAST: Final = 12
"""Shortest path or secret, in characters, to search for in weights: shorter ones match by chance."""


def check_files(folder: Path, names: Iterable[str], private: Private) -> None:
    """Raise :class:`PushError` if a file reveals this machine. The error names the file, not the content."""
    fragments = [
        fragment.encode() for fragment in (*private.paths, *private.secrets) if len(fragment) >= LEAST
    ]
    for name in names:
        path = folder / name
        if name in WRITTEN and path.stat().st_size <= LIMIT:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            for number, line in enumerate(lines, 1):
                if kind := private.private_kind_in_document(line):
                    raise PushError(f"{name} contains {kind} in line {number}. Nothing was published.")
        if _holds(path, fragments):
            raise PushError(f"{name} contains a path of this machine, or a token. Nothing was published.")


def _holds(path: Path, fragments: list[bytes]) -> bool:
    """Search the file for any of the words in a single pass."""
    overlap = max(map(len, fragments), default=1) - 1
    before = b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            window = before + chunk
            if any(fragment in window for fragment in fragments):
                return True
            before = window[-overlap:] if overlap else b""
    return False


PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
"""HTTP statuses that are worth a retry."""
NETWORK: Final = frozenset({"httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3"})
"""Packages whose errors are network errors."""
OFFLINE: Final = "OfflineModeIsEnabled"
LONGEST: Final = 300


class PushError(Exception):
    """Why something cannot be published, worded for the user."""


def _chain(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__


def _answer(error: BaseException) -> tuple[int | None, str, str]:
    """Return the status of the failed response, its host and its message."""
    for cause in _chain(error):
        response = getattr(cause, "response", None)
        status = getattr(response, "status_code", None)
        if isinstance(status, int):
            host = urlsplit(str(getattr(response, "url", ""))).netloc
            return status, host, str(getattr(cause, "server_message", None) or "")
    return None, "", ""


def _is_network(error: BaseException) -> bool:
    names = {kind.__module__.partition(".")[0] for cause in _chain(error) for kind in type(cause).__mro__}
    broken = any(isinstance(cause, ConnectionError | TimeoutError) for cause in _chain(error))
    return bool(names & NETWORK) or broken


def passes(error: BaseException, endpoint: str) -> bool:
    """Return whether to retry: a network error, or a temporary one of the server."""
    if type(error).__name__ == OFFLINE or isinstance(error, PushError):
        return False
    status, host, _ = _answer(error)
    if status is None:
        return _is_network(error)
    # An upload address is valid for a limited time; the Hub issues a new one.
    return status in PASSING or (status == 403 and host != urlsplit(endpoint).netloc)


def reason(error: BaseException, endpoint: str, repo: str, token: str) -> str:
    """Explain ``error``, raised while ``repo`` of ``endpoint`` was read or written, in one sentence."""
    if isinstance(error, PushError):
        return str(error)
    host = urlsplit(endpoint).netloc
    status, who, message = _answer(error)
    words = {
        401: f"{host} refuses the token. Sign in again with `hf auth login`, or set another HF_TOKEN",
        403: f"{host} does not let this token write {repo}: it lacks the permission, or the name is "
        f"someone else's",
        404: f"{host} has no {repo} for this token: the name is someone else's, or it was removed in the "
        f"meantime",
        409: f"{repo} was changed by someone else at the same time. Try again",
        412: f"{repo} was changed by someone else at the same time. Try again",
        413: f"{host} does not accept files of this size",
        429: f"{host} received too many requests from this account. Try again in a few minutes",
    }
    if type(error).__name__ == OFFLINE:
        text = "HF_HUB_OFFLINE is set, so the Hub is not contacted: unset it"
    elif status == 403 and who != host:
        text = f"{who}, where {host} stores files, refused them. Try again later"
    elif status is not None:
        text = words.get(status, f"{host} answers {status}" + (". Try again later" if status >= 500 else ""))
        text += f" ({clean(message, token)})" if message else ""
    elif _is_network(error):
        last = list(_chain(error))[-1]
        text = (
            f"The connection to {host} was lost, or could not be made: "
            f"{clean(last, token) or type(last).__name__}. Push again: what has arrived is not sent twice"
        )
    else:
        text = f"{type(error).__name__}: {clean(error, token)}"
    return text if text.endswith(".") else f"{text}."


def clean(text: object, token: str) -> str:
    """Return the text on one line, without the token and without signed addresses or user names."""
    line = str(text)
    if token:
        line = line.replace(token, "[token]")
    line = re.sub(r"(https?://)[^\s/@]*@", r"\1", line)
    return one_line(re.sub(r"(https?://[^\s?'\"]+)\?\S*", r"\1", line), LONGEST)


TRIES: Final = 6
LONGEST_PAUSE: Final = 30.0
MOST_NAMES: Final = 10_000
LONGEST_NAME: Final = 255
TELL_SECONDS: Final = 0.2
READ_ONLY: Final = "read"
LIMITED: Final = "fineGrained"
"""Token roles with limits: read-only, or what the owner has ticked."""


def write_message(**fields: Unpack[Message]) -> None:
    """Send one message to the parent process."""
    sys.stdout.write(f"{json.dumps(fields)}\n")
    sys.stdout.flush()


class Sent:
    """Counts the bytes sent, over all threads of the library."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._of: dict[str, int] = {}
        self._lock = threading.Lock()
        self._began = self._reported = time.monotonic()

    @property
    def count(self) -> int:
        return sum(self._of.values())

    def at(self, name: str, offset: int) -> None:
        """Record that the file ``name`` has been sent up to ``offset``, which falls when it is sent again."""
        with self._lock:
            self._of[name] = offset
            now = time.monotonic()
            if now - self._reported < TELL_SECONDS:
                return
            self._reported, done = now, self.count
            seconds_left = (self.total - done) * (now - self._began) / done if done else None
            progress = UploadProgress(label="Uploading", done=done, total=self.total, unit="B")
            if seconds_left is not None:
                progress["secondsLeft"] = round(seconds_left)
            write_message(progress=progress)


class Addition(CommitOperationAdd):
    """A file to add that reports how far it has been sent."""

    sent: Sent

    @contextlib.contextmanager
    def as_file(self, with_tqdm: bool = False) -> Iterator[BinaryIO]:
        """Open the file like the library does, with a progress bar around its reads."""
        with super().as_file(with_tqdm=False) as file:
            if with_tqdm:
                read = file.read

                def counted(size: int = -1) -> bytes:
                    chunk = read(size)
                    self.sent.at(self.path_in_repo, file.tell())
                    return chunk

                file.read = counted  # type: ignore[method-assign]
            yield file


@dataclass
class Hub:
    """The repository ``repo`` on the hub at ``endpoint``; ``api`` acts as the signed-in user."""

    api: HfApi
    endpoint: str
    repo: str

    def look(self) -> Repository:
        """Return the user and the repository's state. Raises :class:`PushError` if it is not writable."""
        account = self.api.whoami()
        user = str(account.get("name") or "")
        names = [user, *(str(org.get("name")) for org in account.get("orgs") or () if isinstance(org, dict))]
        auth = account.get("auth")
        token = auth.get("accessToken") if isinstance(auth, dict) else None
        role = token.get("role") if isinstance(token, dict) else None
        if role == READ_ONLY:
            raise PushError(
                f"This token is read-only. Create one with write access at {self.endpoint}/settings/tokens."
            )
        owner = self.repo.partition("/")[0]
        if owner.lower() not in {name.lower() for name in names} and role != LIMITED:
            orgs_text = ", ".join(one_line(name, 60) for name in names[:20] if name)
            raise PushError(
                f"The token's user may not write as {owner}: choose one of {orgs_text}, as in "
                f"{one_line(user, 60)}/{self.repo.partition('/')[2]}."
            )
        return {"user": user, "endpoint": self.endpoint, **self.state()}

    def state(self) -> RepositoryState:
        """Return ``exists``, and for an existing repository ``private``, ``files`` and ``commit``."""
        try:
            info = self.api.model_info(self.repo)
        except RepositoryNotFoundError:
            return {"exists": False, "private": None, "files": [], "commit": None}
        if str(info.id).lower() != self.repo.lower():
            raise PushError(f"This repository was renamed to {one_line(info.id, 100)}: push to that.")
        listed = (info.siblings or [])[:MOST_NAMES]
        files = [str(file.rfilename) for file in listed if len(str(file.rfilename)) <= LONGEST_NAME]
        return {"exists": True, "private": bool(info.private), "files": files, "commit": info.sha}

    def push(self, order: PushOrder) -> Pushed:
        """Upload the folder's files in one commit, with retries; raise the last error."""
        folder, names = Path(order["folder"]), list(order["files"])
        private = Private.of_this_machine(map(Path, order["places"]), [get_token() or ""])
        write_message(progress={"label": "Checking the files"})
        check_files(folder, names, private)
        sent = Sent(sum((folder / name).stat().st_size for name in names))
        pause = float(order["pause"])
        for tries_left in reversed(range(TRIES)):
            try:
                return {**self._commit(folder, names, order, sent), "sent": sent.count}
            except Exception as error:
                if not tries_left or not passes(error, self.endpoint):
                    raise
                write_message(progress={"label": "The connection was lost: trying again"})
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        raise AssertionError("unreachable")

    def _commit(self, folder: Path, names: Sequence[str], order: PushOrder, sent: Sent) -> Commit:
        before = self.state()
        if not before["exists"]:
            self.api.create_repo(self.repo, private=bool(order["private"]), exist_ok=True)
            before = self.state()
        if order["private"] and not before["private"]:  # created meanwhile, or the hub ignores the flag
            raise PushError(f"{self.repo} is public. Nothing was published: make it private there first.")
        additions = [Addition(name, str(folder / name)) for name in names]
        for addition in additions:
            addition.sent = sent
        deletions = [CommitOperationDelete(name) for name in order["remove"] if name in before["files"]]
        commit = self.api.create_commit(
            self.repo, operations=[*deletions, *additions], commit_message=order["message"]
        )
        return {
            "commit": commit.oid,
            "private": before["private"],
            "changed": commit.oid != before["commit"],
        }


def endpoint() -> str:
    """Return the hub's address. Raises :class:`PushError` for one that would receive the token in the clear.

    The address is shown, so one that contains a secret is refused, too.
    """
    address: str = constants.ENDPOINT.rstrip("/")
    parts = urlsplit(address)
    if "@" in parts.netloc:
        raise PushError("HF_ENDPOINT names a user or a password, which would be shown: leave them out.")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_here(parts.hostname or "")):
        return address
    raise PushError("HF_ENDPOINT must begin with https:// : otherwise the token would be sent in clear text.")


def _is_here(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def main() -> None:
    """Carry out the order on standard input."""
    order: LookOrder | PushOrder = json.loads(sys.stdin.buffer.readline())
    # The parent keeps our standard input open: its end means that the parent is gone.
    threading.Thread(target=_end_with, args=(sys.stdin.buffer.read,), daemon=True).start()
    token, address = "", str(constants.ENDPOINT)
    try:
        address = endpoint()
        token = get_token() or ""
        if not token:
            host = urlsplit(address).netloc
            raise PushError(f"No token for {host}: sign in with `hf auth login`, or set HF_TOKEN.")
        hub = Hub(HfApi(endpoint=address, token=token), address, order["repo"])
        write_message(answer=hub.look() if order["do"] == "look" else hub.push(order))
    except Exception as error:  # noqa: BLE001 - the last line of defence of a process about to end
        write_message(error=reason(error, address, order["repo"], token), final=isinstance(error, PushError))
    os._exit(0)


def _end_with(read: Callable[[], object]) -> None:
    read()
    os._exit(1)


if __name__ == "__main__":
    main()
