"""What a hostile machine may answer: it is read within bounds, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.backend.unix_address import address_of
from arkor_dev.connection.ssh.answers import (
    HostState,
    read_backend,
    read_host_state,
    read_host_use,
    read_missing,
    read_stopped,
)

if TYPE_CHECKING:
    from collections.abc import Callable

BACKEND = {"baseUrl": address_of("/tmp/a.sock"), "token": "t" * 30}
USE = {"root": "/home/me/.arkor/remote", "bytes": 5, "projects": []}
PROJECT = {"key": "k", "name": "n", "running": True, "version": "0.1.0", "active": 1}


@pytest.mark.parametrize("read", [read_backend, read_host_state, read_host_use, read_missing, read_stopped])
@pytest.mark.parametrize("answer", [None, [], "x", 5, True, [[[]]]])
def test_a_reply_that_is_not_an_object_is_refused(read: Callable[[object], object], answer: object) -> None:
    with pytest.raises(ValueError, match="JSON object"):
        read(answer)


@pytest.mark.parametrize(
    "token", ["", "short", "t" * 30 + "\r\nX: y", "t" * 30 + "\n", "t" * 201, "ü" * 30, 5, None]
)
def test_a_token_with_white_space_is_refused(token: object) -> None:
    assert read_backend(BACKEND).token == "t" * 30
    with pytest.raises(ValueError, match="token"):
        read_backend({**BACKEND, "token": token})


@pytest.mark.parametrize(
    "wrong",
    [
        {"bytes": 10**400}, {"bytes": float("inf")}, {"bytes": None}, {"bytes": -1}, {"root": None},
        {"projects": None}, {"projects": [None]}, {"projects": [{**PROJECT, "active": 10**400}]},
        {"projects": [{**PROJECT, "name": None}]}, {"projects": {"name": "n"}},
    ],
)  # fmt: skip
def test_invalid_disk_figures_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|missing"):
        read_host_use({**USE, **wrong})


def test_remote_text_becomes_one_plain_line() -> None:
    named = {**PROJECT, "name": "a\0\x1b[31m\nb" + "c" * 500}
    (project,) = read_host_use({**USE, "projects": [named]}).projects
    assert project.name.startswith("a b" + "c")
    assert len(project.name) == 60
    state = read_host_state({"python": "3.12\0\n", "lacks": ["\x1b[2Jtorch"], "later": 1})
    assert state == HostState("3.12", has_gpu=False, has_code=False, has_environment=False, lacks=("torch",))


@pytest.mark.parametrize("wrong", [{"missing": None}, {"missing": "a"}, {"missing": [5]}, {}])
def test_a_list_of_missing_files_is_validated(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="missing"):
        read_missing(wrong)
    assert read_missing({"missing": ["a\0b"]}) == {"a\0b"}
