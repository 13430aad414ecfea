"""Deployments and keys in the data base."""

from __future__ import annotations

import hashlib
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.errors import ConflictError, NotFoundError
from arkor_dev.local.endpoints import deployments
from arkor_dev.local.endpoints.requests import LoggedRequest, add, listing
from arkor_dev.local.jobs.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.contract.shapes import AnsweredBy, Deployment
    from arkor_dev.local.endpoints.deployments import DeploymentChanges


def test_deployments_are_persistent(path: Path) -> None:
    with closing(Store(path, "local")) as store:
        made = deployments.create(
            store, {"slug": "bot", "target": {"kind": "base_model", "baseModel": "m"}, "authMode": "none"}
        )
        assert deployments.by_slug(store, "bot") == made
    with closing(Store(path, "local")) as store:
        assert deployments.listing(store) == [made]
        assert deployments.get(store, made["id"]) == made
        assert deployments.by_slug(store, "other") is None


@pytest.mark.parametrize("target", ["{", "[]", '{"kind": "adapter"}', '{"kind": "x", "baseModel": "m"}', 3])
def test_a_damaged_deployment_is_repaired_by_a_new_target(
    store: Store, make: Callable[..., Deployment], target: object
) -> None:
    made = make()
    store.writing.execute("UPDATE deployments SET target = ?, answered = '{'", (target,))
    (listed,) = deployments.listing(store)
    assert "its record is damaged" in listed["target"]["baseModel"]
    assert listed["answeredBy"] is None
    assert deployments.change(store, made["id"], {"target": made["target"]})["target"] == made["target"]


def test_slugs_are_unique_and_reusable(store: Store, make: Callable[..., Deployment]) -> None:
    first = make()
    with pytest.raises(ConflictError, match="endpoint bot already"):
        make()
    deployments.remove(store, first["id"])
    assert make()["id"] != first["id"]


def test_deployments_and_keys_are_limited(
    store: Store, make: Callable[..., Deployment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deployments, "MOST_DEPLOYMENTS", 2)
    monkeypatch.setattr(deployments, "MOST_KEYS", 1)
    first, _ = make(slug="aa"), make(slug="bb")
    with pytest.raises(ConflictError, match="delete one first"):
        make(slug="cc")
    deployments.issue(store, first["id"], "one")
    with pytest.raises(ConflictError, match="revoke one first"):
        deployments.issue(store, first["id"], "two")


def test_the_first_engine_is_kept_until_changed(store: Store, make: Callable[..., Deployment]) -> None:
    made = make(engine="exact")
    by: AnsweredBy = {"engine": "transformers", "precision": "float32"}
    other: AnsweredBy = {"engine": "llama.cpp", "precision": "q8_0"}
    assert (made["engine"], made["answeredBy"]) == ("exact", None)
    for each in (by, other):
        deployments.record_answered(store, made["id"], each)
    keeping: tuple[DeploymentChanges, ...] = ({"authMode": "none"}, {"runRetentionMode": "unlimited"})
    for kept in keeping:
        assert deployments.change(store, made["id"], kept)["answeredBy"] == by
    changing: tuple[DeploymentChanges, ...] = (
        {"engine": "auto"},
        {"enabled": True},
        {"target": made["target"]},
    )
    for anew in changing:
        assert deployments.change(store, made["id"], anew)["answeredBy"] is None
        deployments.record_answered(store, made["id"], by)


def test_an_update_changes_only_its_fields(store: Store, make: Callable[..., Deployment]) -> None:
    made = make(runRetentionMode="days", runRetentionDays=3)
    changed = deployments.change(store, made["id"], {"enabled": False})
    assert changed == {**made, "enabled": False, "updatedAt": changed["updatedAt"]}
    changed = deployments.change(store, made["id"], {"runRetentionMode": "unlimited"})
    assert changed["runRetentionMode"] == "unlimited"
    assert "runRetentionDays" not in changed
    with pytest.raises(NotFoundError):
        deployments.change(store, "dep_none", {"enabled": True})


def test_request_texts_are_not_kept_by_default(make: Callable[..., Deployment]) -> None:
    assert make()["runRetentionMode"] == "disabled"


def test_a_key_is_shown_once_and_recognized(store: Store, make: Callable[..., Deployment]) -> None:
    bot, other = make(), make(slug="other")
    issued = deployments.issue(store, bot["id"], "shop")
    plaintext = issued.pop("plaintext")
    assert plaintext.startswith("ak-")
    assert len(plaintext) == 3 + 43  # 32 bytes
    assert issued["prefix"] == plaintext[:10]
    assert deployments.keys(store, bot["id"]) == [issued]
    assert deployments.key_of(store, bot["id"], plaintext) == (issued["id"], issued["prefix"])
    assert deployments.key_of(store, other["id"], plaintext) is None
    for wrong in (plaintext[:-1], plaintext + "x", plaintext.swapcase(), "", "\udce4", issued["prefix"]):
        assert deployments.key_of(store, bot["id"], wrong) is None
    assert deployments.issue(store, bot["id"], "shop")["plaintext"] != plaintext


def test_only_the_hash_of_a_key_is_stored(path: Path) -> None:
    with closing(Store(path, "local")) as store:
        made = deployments.create(
            store, {"slug": "bot", "target": {"kind": "base_model", "baseModel": "m"}, "authMode": "none"}
        )
        plaintext = deployments.issue(store, made["id"], "shop")["plaintext"]
    written = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert hashlib.sha256(plaintext.encode()).digest() in written
    assert plaintext.encode() not in written
    assert plaintext[10:].encode() not in written


def test_a_revoked_key_is_unknown(store: Store, make: Callable[..., Deployment]) -> None:
    bot, other = make(), make(slug="other")
    issued = deployments.issue(store, bot["id"], "shop")
    assert not deployments.revoke(store, other["id"], issued["id"])
    assert deployments.revoke(store, bot["id"], issued["id"])
    assert not deployments.revoke(store, bot["id"], issued["id"])
    assert deployments.key_of(store, bot["id"], issued["plaintext"]) is None


def test_the_last_use_of_a_key_is_stored(store: Store, make: Callable[..., Deployment]) -> None:
    bot = make()
    issued = deployments.issue(store, bot["id"], "shop")
    assert issued["lastUsedAt"] is None
    deployments.record_used(store, issued["id"])
    (key,) = deployments.keys(store, bot["id"])
    assert key["lastUsedAt"]
    assert key["lastUsedAt"] >= issued["createdAt"]


def test_deleting_a_deployment_deletes_its_keys_and_requests(
    store: Store, make: Callable[..., Deployment]
) -> None:
    bot, other = make(runRetentionMode="unlimited"), make(slug="other")
    for each in (bot, other):
        deployments.issue(store, each["id"], "shop")
        add(store, LoggedRequest(each["id"], "chat/completions", answers=["hm"]))
    deployments.remove(store, bot["id"])
    assert deployments.keys(store, bot["id"]) == []
    assert listing(store, bot, None)["requests"] == []
    assert len(deployments.keys(store, other["id"])) == 1
    assert len(listing(store, other, None)["requests"]) == 1
