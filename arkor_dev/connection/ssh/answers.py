"""What the other machine answers, as data: types and bounds are checked here, and nowhere behind.

The machine is not trusted. A reader takes the value of ``done`` as it was parsed, and raises ValueError.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NotRequired, TypedDict

from yarl import URL

from arkor_dev.backend.unix_address import socket_of
from arkor_dev.contract.rules import FLAG, TEXT, Rule, string
from arkor_dev.contract.schema import Field, Schema, check
from arkor_dev.core.plain_text import one_line

MOST: Final = 100_000
"""Maximum number of members of a list."""
MOST_BYTES: Final = 1 << 60
NAME: Final = 60
VERSION: Final = 20
PATH: Final = 300

_TEXTS: Final = Rule(
    "list", 0, MOST, "a list of texts", test=lambda members: all(isinstance(text, str) for text in members)
)
_COUNT: Final = Rule("whole", 0, MOST)
_SIZE: Final = Rule("whole", 0, MOST_BYTES)
# A line break in it would be another header of each call.
_TOKEN: Final = string("a token", re.compile(r"[!-~]{20,200}").fullmatch)

_HOST_STATE: Final = Schema(
    Field("python", TEXT),
    *(Field(name, FLAG) for name in ("gpu", "code", "env")),
    Field("lacks", _TEXTS),
)
_MISSING: Final = Schema(Field("missing", _TEXTS, needed=True))
_BACKEND: Final = Schema(Field("baseUrl", TEXT, needed=True), Field("token", _TOKEN, needed=True))
_PROJECT: Final = Schema(
    Field("key", TEXT, needed=True),
    Field("name", TEXT, needed=True),
    Field("running", FLAG, needed=True),
    Field("version", TEXT, null=True),
    Field("active", _COUNT),
)
_HOST_USE: Final = Schema(
    Field("root", TEXT, needed=True),
    Field("bytes", _SIZE, needed=True),
    Field("projects", Rule("list", 0, MOST), needed=True, inner=_PROJECT),
)
_STOPPED: Final = Schema(Field("stopped", _COUNT, needed=True))


@dataclass(frozen=True, slots=True)
class HostState:
    """What a machine has: its Python, a GPU, our ``code`` and its ``environment``, and modules it lacks."""

    python: str
    has_gpu: bool
    has_code: bool
    has_environment: bool
    lacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemoteBackend:
    """Where the backend there listens, to be checked by `SshLink.forward`, and the token that it wants."""

    socket: str
    token: str


@dataclass(frozen=True, slots=True)
class RemoteProject:
    """A project there; ``active`` jobs are running or queued in its backend."""

    key: str
    name: str
    is_running: bool
    version: str
    active: int


@dataclass(frozen=True, slots=True)
class HostUse:
    """What this account has there: ``size`` bytes in the folder ``root``, by project."""

    root: str
    size: int
    projects: tuple[RemoteProject, ...]


class ProjectUse(TypedDict):
    """A project in the answer to ``status``."""

    key: str
    name: str
    running: bool
    version: NotRequired[str | None]
    active: NotRequired[int]


def read_host_state(answer: object) -> HostState:
    """Read the answer to ``look``."""
    fields = check(answer, _HOST_STATE)
    return HostState(
        python=one_line(fields.get("python", ""), VERSION),
        has_gpu=fields.get("gpu", False),
        has_code=fields.get("code", False),
        has_environment=fields.get("env", False),
        lacks=tuple(one_line(name, NAME) for name in fields.get("lacks", ())),
    )


def read_missing(answer: object) -> frozenset[str]:
    """Read the answer to ``files``: names of offered files, and whatever else was named."""
    return frozenset(check(answer, _MISSING)["missing"])


def read_backend(answer: object) -> RemoteBackend:
    """Read the answer to ``start``, and the report of another backend."""
    fields = check(answer, _BACKEND)
    return RemoteBackend(str(socket_of(URL(fields["baseUrl"]))), fields["token"])


def read_host_use(answer: object) -> HostUse:
    """Read the answer to ``status``."""
    fields = check(answer, _HOST_USE)
    return HostUse(one_line(fields["root"], PATH), fields["bytes"], tuple(map(_project, fields["projects"])))


def _project(fields: ProjectUse) -> RemoteProject:
    version = one_line(fields.get("version") or "", VERSION)
    key, name = one_line(fields["key"], NAME), one_line(fields["name"], NAME)
    return RemoteProject(key, name, fields["running"], version, fields.get("active", 0))


def read_stopped(answer: object) -> int:
    """Read the answer to ``stop``: how many backends were running."""
    stopped: int = check(answer, _STOPPED)["stopped"]
    return stopped


def read_nothing(_: object) -> None:
    """Read the answer to a request that answers nothing."""
