"""``arkor-dev push`` to a hub that says too much, that changes its mind, or whose address tells a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("huggingface_hub")

from arkor_dev.cli.commands.push.uploader import clean
from tests.cli.commands.test_jobs import Command, command
from tests.support.fake_hub import FakeHub, Repository

from .test_push import hub, job, quick

__all__ = ["command", "hub", "job", "quick"]

PARROT = "\U0001f99c"

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend


async def test_a_hub_address_with_a_password_is_refused(
    command: Command, fake_backend: FakeBackend, hub: FakeHub, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url.replace("//", "//ann:s3cret@"))
    said = await command.run(2, "push", job, "ann/keeper", "--yes")
    assert "HF_ENDPOINT names a user or a password" in said
    assert "s3cret" not in said
    assert hub.asked == []
    assert fake_backend.exports.made == {}


def test_error_messages_contain_no_address_secrets() -> None:
    line = "no answer of https://ann:s3cret@hub.example/api?X-Amz-Signature=1 through http://proxy:3128"
    assert clean(line, "") == "no answer of https://hub.example/api through http://proxy:3128"


async def test_a_repository_that_became_public_is_not_pushed_to(
    command: Command, hub: FakeHub, job: str
) -> None:
    hub.repos["ann/keeper"] = Repository(private=True)
    looks = 0

    def opened(method: str, path: str) -> None:
        nonlocal looks
        looks += (method, path) == ("GET", "/api/models/ann/keeper")
        hub.repos["ann/keeper"].private = looks < 2

    hub.faults = opened
    said = await command.run(2, "push", job, "ann/keeper", "--yes")
    assert "ann/keeper is public. Nothing was published" in said
    assert (hub.puts(), hub.repos["ann/keeper"].files) == ([], {})


async def test_very_long_repository_listings_are_bounded(command: Command, hub: FakeHub, job: str) -> None:
    hub.repos["ann/keeper"] = Repository(False, {PARROT * 60 + str(number): b"" for number in range(10_000)})
    await command.run(0, "push", job, "ann/keeper", "--yes")
    assert "README.md" in hub.repos["ann/keeper"].files
