"""``arkor-dev endpoints``: what other programs call, made and changed from a terminal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.commands.test_jobs import Command, command
from tests.data.traces import samples

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend

__all__ = ["command"]

pytestmark = pytest.mark.usefixtures("signed_in")


async def test_an_endpoint_from_its_creation_to_its_deletion(
    command: Command, fake_backend: FakeBackend
) -> None:
    job = fake_backend.add_job("completed", name="Support Bot!")
    assert "endpoints create JOB" in await command.run(0, "endpoints")
    said = await command.run(0, "endpoints", "create", "latest")
    assert "Created the endpoint support-bot." in said
    assert "API key, shown only once: " in said
    assert "support-bot  job " in await command.run(0, "endpoints")
    assert "with a key" in await command.run(0, "endpoints")
    first = await command.run(0, "endpoints", "key", "support-bot", "--json")
    assert json.loads(first)["key"] not in said
    await command.run(0, "endpoints", "off", "support-bot")
    assert "with a key, off" in await command.run(0, "endpoints")
    await command.run(0, "endpoints", "on", "support-bot")
    assert "off" not in await command.run(0, "endpoints")
    created = await command.run(
        0, "endpoints", "create", job, "--name", "second", "--checkpoint", "20", "--open", "--json"
    )
    document = json.loads(created)
    assert document["endpoint"]["target"]["adapter"] == {"kind": "checkpoint", "jobId": job, "step": 20}
    assert "key" not in document
    assert "second       " in (listed := await command.run(0, "endpoints"))
    assert f"job {job}, step 20  anyone" in listed
    await command.run(0, "endpoints", "delete", "second")
    listed = await command.run(0, "endpoints", "--json")
    assert [each["slug"] for each in json.loads(listed)["endpoints"]] == ["support-bot"]


async def test_a_target_of_a_newer_kind_is_listed_by_its_name_and_an_end_by_its_time(
    command: Command, fake_backend: FakeBackend
) -> None:
    fake_backend.add_job("completed", name="bot")
    await command.run(0, "endpoints", "create", "latest", "--open")
    (endpoint,) = fake_backend.deployments.values()
    endpoint |= {"target": {"kind": "model_menu", "adapter": {"of": 5}}, "expiresAt": "2027-01-15T12:00:00Z"}
    listed = await command.run(0, "endpoints")
    assert "an unknown target (model_menu)  anyone, ends 2027-01-1" in listed


async def test_the_log_of_an_endpoint_becomes_rows(
    command: Command, fake_backend: FakeBackend, settings: Settings
) -> None:
    """Of two pages, with a request whose text is not kept."""
    fake_backend.features = ["serving"]
    fake_backend.add_job("completed", name="bot")
    await command.run(0, "endpoints", "create", "latest")
    (endpoint,) = fake_backend.deployments.values()
    endpoint["runRetentionMode"] = "unlimited"
    log = [
        {**samples.ENDPOINT_LOG[1], "id": str(number), "answers": [f"It is in town {number}."]}
        for number in range(60, 0, -1)
    ]
    log[3] = {key: value for key, value in log[3].items() if key not in ("messages", "answers", "kept")}
    fake_backend.serving.log[endpoint["id"]] = log
    said = await command.run(0, "data", "import", "--endpoint", "bot")
    reason = "bot, request 57: its text was not kept: this endpoint is not set to keep texts"
    assert said.splitlines()[0] == reason
    assert "59 rows of endpoint log; 1 not converted." in said
    rows = (settings.project / "data" / "bot-rows.jsonl").read_text().splitlines()
    assert json.loads(rows[0])["messages"][-1]["content"] == "It is in town 1."
    assert json.loads(rows[0])["tools"] == [samples.TOOL]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["create"], "Name a job"),
        (["off"], "Name an endpoint"),
        (["remove", "x"], "unknown action remove. Choose one of create, key, on, off, delete."),
        (["off", "nothing"], "There is no endpoint nothing. `arkor-dev endpoints` lists them."),
        (["create", "nothing"], "There is no job nothing"),
        (["off", "x", "--open"], "for endpoints create"),
    ],
)
async def test_wrong_arguments_are_refused_with_the_next_step(
    command: Command, arguments: list[str], reason: str
) -> None:
    assert reason in await command.run(2, "endpoints", *arguments)


async def test_a_name_that_is_taken_is_not_changed(command: Command, fake_backend: FakeBackend) -> None:
    fake_backend.add_job("completed", name="bot")
    await command.run(0, "endpoints", "create", "latest", "--name", "mine")
    await command.run(2, "endpoints", "create", "latest", "--name", "mine")
    assert len(fake_backend.deployments) == 1
