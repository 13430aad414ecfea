"""Which machines a person has agreed to use for which project."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from arkor_dev.project.trust import FILE, is_trusted, trust, untrusted

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings

CLUSTER, STORE = "ray://head:10001", "s3://bucket/jobs"


@pytest.mark.parametrize(
    "record", [b"[" * 100_000, b"[]", b'{"%s": "gpu-box"}', b'{"%s": [["gpu-box"]]}', b"\xff"]
)
def test_a_damaged_trust_file_trusts_nothing(settings: Settings, record: bytes) -> None:
    settings.arkor_home.mkdir()
    (settings.arkor_home / FILE).write_bytes(record.replace(b"%s", bytes(settings.project)))
    assert not is_trusted(settings, "gpu-box")
    trust(settings, "gpu-box")
    assert is_trusted(settings, "gpu-box")


@pytest.mark.parametrize(
    ("launched_on", "storage", "asked"),
    [
        (None, None, [CLUSTER]),
        (None, "/mnt/jobs", [CLUSTER]),
        (None, STORE, [CLUSTER, STORE]),
        (CLUSTER, "/mnt/jobs", []),
        (CLUSTER, STORE, [STORE]),
    ],
)
def test_addresses_named_by_a_project_need_consent_once(
    settings: Settings, launched_on: str | None, storage: str | None, asked: list[str]
) -> None:
    launch = replace(settings, cluster=launched_on)
    assert untrusted(launch, CLUSTER, storage) == asked
    for name in asked:
        trust(settings, name)
    assert untrusted(launch, CLUSTER, storage) == []
    assert untrusted(launch, None, storage) == [], "without a cluster nothing goes to its store"
    other = replace(launch, project=settings.project / "clone")
    assert untrusted(other, CLUSTER, storage) == asked
