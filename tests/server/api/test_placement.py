"""``/api/cluster`` as in docs/contract.md#studio-calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.core.settings import Settings
from arkor_dev.project.toml.compute import cluster_of
from arkor_dev.project.trust import FILE
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


async def call(studio: Studio, method: str, path: str = "", body: object = None) -> tuple[int, Any]:
    async with studio.session.request(method, f"/api/cluster{path}", json=body) as answer:
        return answer.status, await answer.json()


async def test_the_projects_cluster_is_contacted_only_after_consent(
    studio: Studio, fake_backend: FakeBackend, settings: Settings
) -> None:
    assert await call(studio, "GET") == (200, {"address": None, "insecure": False, "untrusted": []})
    assert (await call(studio, "POST", "/look"))[0] == 404
    (settings.project / "arkor.toml").write_text(TOML)
    fake_backend.features = ["placement"]
    named = {"address": ADDRESS_OF_IT, "insecure": False, "untrusted": [ADDRESS_OF_IT]}
    assert await call(studio, "GET") == (200, named)
    status, answer = await call(studio, "POST", "/look")
    assert (status, ADDRESS_OF_IT in answer["error"]) == (403, True)
    assert fake_backend.count("GET /v1/clusters") == 0
    assert await call(studio, "POST", "/trust", {"names": [ADDRESS_OF_IT]}) == (
        200,
        {**named, "untrusted": []},
    )
    status, answer = await call(studio, "POST", "/look")
    assert (status, answer["cluster"]["free"]["cpus"]) == (200, 6)
    assert fake_backend.last("GET /v1/clusters").url.query["address"] == ADDRESS_OF_IT


@pytest.mark.parametrize(
    ("names", "status"),
    [(["ray://before:10001"], 409), ([ADDRESS_OF_IT, "s3://other/jobs"], 409), ([], 400), (None, 400)],
)
async def test_consent_applies_to_the_current_addresses_only(
    studio: Studio, settings: Settings, names: list[str] | None, status: int
) -> None:
    (settings.project / "arkor.toml").write_text(TOML)
    assert (await call(studio, "POST", "/trust", {"names": names}))[0] == status
    assert (await call(studio, "GET"))[1]["untrusted"] == [ADDRESS_OF_IT]
    assert not (settings.arkor_home / FILE).exists()


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
def test_cluster_option_overrides_environment_and_file(
    tmp_path: Path, environment: str, option: str | None, found: str | None
) -> None:
    (tmp_path / "arkor.toml").write_text(TOML)
    settings = Settings.from_environment({"ARKOR_CLUSTER": environment}, tmp_path, cluster=option)
    assert cluster_of(settings) == found
