"""``/api/cluster`` as in docs/contract.md#studio-calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.core.settings import Settings
from arkor_dev.project.toml.compute import cluster_of
from tests.support.fake_placement import ADDRESS_OF_IT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

TOML = f'''
[compute]
cluster = "{ADDRESS_OF_IT}"

[[trainer]]
name = "a"
model = "tiny"
dataset = "a.jsonl"
'''


async def call(studio: Studio, method: str, path: str = "") -> tuple[int, Any]:
    async with studio.session.request(method, f"/api/cluster{path}") as answer:
        return answer.status, await answer.json()


async def test_the_projects_cluster_is_named_and_asked_nothing(
    studio: Studio, fake_backend: FakeBackend, settings: Settings
) -> None:
    assert await call(studio, "GET") == (200, {"address": None, "insecure": False})
    assert (await call(studio, "POST", "/look"))[0] == 404
    (settings.project / "arkor.toml").write_text(TOML)
    assert await call(studio, "GET") == (200, {"address": ADDRESS_OF_IT, "insecure": False})
    assert fake_backend.count("GET /v1/clusters") == 0
    fake_backend.features = ["placement"]
    status, answer = await call(studio, "POST", "/look")
    assert (status, answer["cluster"]["free"]["cpus"]) == (200, 6)
    assert fake_backend.last("GET /v1/clusters").url.query["address"] == ADDRESS_OF_IT


@pytest.mark.parametrize(
    ("environment", "option", "found"),
    [
        ("", None, ADDRESS_OF_IT),
        ("10.0.0.9:6379", None, "10.0.0.9:6379"),
        ("10.0.0.9:6379", "auto", "auto"),
        ("10.0.0.9:6379", "here", None),
        ("here", None, None),
    ],
)
def test_the_option_goes_before_the_environment_and_that_before_the_file(
    tmp_path: Path, environment: str, option: str | None, found: str | None
) -> None:
    (tmp_path / "arkor.toml").write_text(TOML)
    settings = Settings.from_environment({"ARKOR_CLUSTER": environment}, tmp_path, cluster=option)
    assert cluster_of(settings) == found
