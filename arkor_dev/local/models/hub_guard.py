"""Validates responses of a model hub or its mirror: names must stay inside the cache, sizes be correct.

The Hub's library makes file names from a server's commit names and ETags, and writes as much as the server
sends. ``HF_ENDPOINT`` may name any server, so these are checked here: headers before the library sees them,
the file list before a download, and the files after it.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.errors import MAKE_ROOM
from arkor_dev.contract.units import format_bytes
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

COMMIT: Final = re.compile(r"[0-9a-f]{40}")
TAG: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
RESERVED_BYTES: Final = 2**28
"""Bytes of disk space that a download of unknown length must leave free."""
SLACK: Final = 2**20
"""Bytes that a download may take beyond the announced size, for the library's own files."""


def check_commit(value: object) -> str:
    """Return ``value`` if it is a valid commit name, which becomes a folder's name."""
    if not isinstance(value, str) or not COMMIT.fullmatch(value):
        raise JobFailure(f"The model hub sent an invalid commit {_quoted(value)}: do not use this hub")
    return value


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse a response whose headers would become file names in another folder."""
    if "X-Repo-Commit" in headers:
        check_commit(headers["X-Repo-Commit"])
    for field in ("ETag", "X-Linked-Etag"):
        if field in headers:
            tag = headers[field].removeprefix("W/").strip('"')
            if not TAG.fullmatch(tag):
                raise JobFailure(f"The model hub sent an invalid {field} {_quoted(tag)}: do not use this hub")


def watch_answers() -> None:
    """Call `check_headers` for every response that the Hub's library receives in this process."""
    import huggingface_hub

    if hasattr(huggingface_hub, "set_client_factory"):
        from huggingface_hub.utils import _http

        def client() -> Any:
            http_client = _http.default_client_factory()
            hooks = http_client.event_hooks
            hooks["response"] = [*hooks.get("response", []), lambda answer: check_headers(answer.headers)]
            http_client.event_hooks = hooks
            return http_client

        huggingface_hub.set_client_factory(client)
    else:  # version below 1.0

        def session() -> Any:
            import requests

            http_client = requests.Session()
            http_client.hooks["response"].append(lambda answer, **_: check_headers(answer.headers))
            return http_client

        huggingface_hub.configure_http_backend(backend_factory=session)


def check_listing(sizes: Mapping[str, int | None], cache: Path) -> tuple[int | None, int]:
    """Return the announced bytes to download, if all sizes are known, and the maximum number of bytes.

    Refuses names outside the folder, and more bytes than the disk has space for.
    """
    for name, size in sizes.items():
        elsewhere = name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or "\0" in name
        if elsewhere or (size is not None and size < 0):
            raise JobFailure(f"The model hub listed an invalid file {_quoted(name)}: do not use this hub")
    announced = [size for size in sizes.values() if size is not None]
    total = sum(announced)
    existing = next(folder for folder in (cache, *cache.parents) if folder.is_dir())
    free = shutil.disk_usage(existing).free
    if total > free:
        raise JobFailure(
            f"The model has {format_bytes(total)}, and the disk of {existing} has room for "
            f"{format_bytes(free)}: choose a smaller model. {MAKE_ROOM}"
        )
    return (total, total + SLACK) if len(announced) == len(sizes) else (None, free - RESERVED_BYTES)


def check_files(snapshot: Path, sizes: Mapping[str, int | None], cache: Path) -> None:
    """Refuse a download if a file has an unexpected path, or not the announced size."""
    inside = cache.resolve()
    for path in _files(snapshot):
        name = path.relative_to(snapshot).as_posix()
        real = path.resolve()
        if not real.is_relative_to(inside):
            raise JobFailure(
                f"The model hub's file {_quoted(name)} lies outside of {cache}: do not use this hub"
            )
        size, announced = real.stat().st_size, sizes.get(name)
        if announced is not None and size != announced:
            real.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            raise JobFailure(
                f"The model hub's file {_quoted(name)} has {size:,} bytes instead of the announced "
                f"{announced:,}: try again, or do not use this hub"
            )


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*") if not path.is_dir())


def _quoted(value: object) -> str:
    return repr(str(value)[:80])
