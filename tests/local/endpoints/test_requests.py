"""The log of requests: figures always, texts as long as they are kept and not a moment longer."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.endpoints import deployments, requests
from arkor_dev.local.endpoints.requests import LoggedRequest, add, forget_texts, listing, read_request
from arkor_dev.local.jobs.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.contract.shapes import Deployment, DeploymentTarget

    Make = Callable[..., Deployment]

ASKED = [{"role": "user", "content": "Where is the violet umbrella?"}]


def ago(**time: float) -> str:
    moment = datetime.now(UTC) - timedelta(**time)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def said(deployment: str, **more: Any) -> LoggedRequest:
    """A request that was answered."""
    figures = {"prompt": 5, "completion": 10, "seconds": 2.0, "first": 0.5, "key": "ak-1234567"}
    return LoggedRequest(
        deployment, "chat/completions", messages=ASKED, answers=["At the door."], **{**figures, **more}
    )


def texts(store: Store, deployment: Deployment) -> list[bool]:
    """Which requests, the newest first, have their text yet, as they are listed and by themselves."""
    listed = listing(store, deployment, None)["requests"]
    alone = [read_request(store, deployment, int(each["id"])) for each in listed]
    assert [each is not None and "messages" in each for each in alone] == [each["kept"] for each in listed]
    return [each["kept"] for each in listed]


def test_a_request_is_logged_with_metrics_and_text(store: Store, make: Make) -> None:
    bot = make(runRetentionMode="unlimited")
    add(store, said(bot["id"]))
    (listed,) = listing(store, bot, None)["requests"]
    assert "messages" not in listed
    assert read_request(store, bot, int(listed["id"])) == {
        **listed,
        "messages": ASKED,
        "answers": ["At the door."],
    }
    assert listed | {"id": "", "at": ""} == {
        "id": "",
        "at": "",
        "call": "chat/completions",
        "status": 200,
        "key": "ak-1234567",
        "stream": False,
        "promptTokens": 5,
        "completionTokens": 10,
        "firstTokenSeconds": 0.5,
        "seconds": 2.0,
        "kept": True,
    }


@pytest.mark.parametrize(
    ("kept", "age", "shown"),
    [
        ({"runRetentionMode": "unlimited"}, {"days": 5000}, True),
        ({"runRetentionMode": "days", "runRetentionDays": 2}, {"days": 1.99}, True),
        ({"runRetentionMode": "days", "runRetentionDays": 2}, {"days": 2.01}, False),
        ({"runRetentionMode": "days", "runRetentionDays": 999_999_999}, {"days": 5000}, True),
        ({"runRetentionMode": "disabled"}, {}, False),
        ({}, {}, False),
    ],
)
def test_texts_are_shown_for_their_retention_time(
    store: Store, make: Make, kept: dict[str, Any], age: dict[str, float], shown: bool
) -> None:
    bot = make(**kept)
    add(store, said(bot["id"], at=ago(**age)))
    assert texts(store, bot) == [shown]  # before anything was taken away
    forget_texts(store)
    assert texts(store, bot) == [shown]
    assert (store.reading.execute("SELECT said FROM endpoint_requests").fetchone()[0] is not None) is shown


def test_expired_texts_are_erased_from_the_disk(path: Path) -> None:
    with closing(Store(path, "local")) as store:
        target: DeploymentTarget = {"kind": "base_model", "baseModel": "m"}
        bot = deployments.create(
            store, {"slug": "bot", "target": target, "authMode": "none", "runRetentionMode": "unlimited"}
        )
        for _ in range(50):
            add(store, said(bot["id"]))

        def on_disk() -> bool:
            return any(b"violet umbrella" in file.read_bytes() for file in path.parent.iterdir())

        assert on_disk()
        bot = deployments.change(store, bot["id"], {"runRetentionMode": "disabled"})
        assert texts(store, bot) == [False] * 50
        assert forget_texts(store) == 50
        assert not on_disk()
        deployments.change(store, bot["id"], {"runRetentionMode": "unlimited"})
        add(store, said(bot["id"]))
        assert on_disk()
        deployments.remove(store, bot["id"])
        assert not on_disk()


def test_the_total_size_of_texts_is_limited(
    store: Store, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot, other = make(runRetentionMode="unlimited"), make(slug="other", runRetentionMode="unlimited")
    for each in (bot, other, bot):
        add(store, said(each["id"]))
    size = store.reading.execute("SELECT length(said) FROM endpoint_requests").fetchone()[0]
    monkeypatch.setattr(requests, "MOST_TEXTS", 2 * size)
    assert forget_texts(store) == 1
    assert texts(store, bot) == [True, False]
    assert texts(store, other) == [True]


def test_a_long_text_is_not_stored(store: Store, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    bot = make(runRetentionMode="unlimited")
    monkeypatch.setattr(requests, "MOST_TEXT", 20)
    add(store, said(bot["id"]))
    assert texts(store, bot) == [False]


def test_the_request_log_is_bounded_and_paged(
    store: Store, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "MOST", 5)
    monkeypatch.setattr(requests, "PAGE", 2)
    bot, other = make(), make(slug="other")
    add(store, said(other["id"]))
    for number in range(8):
        add(store, said(bot["id"], prompt=number))
    seen: list[int] = []
    before: int | None = None
    more = True
    while more:
        page = listing(store, bot, before)
        seen += [each["promptTokens"] for each in page["requests"]]
        before, more = int(page["requests"][-1]["id"]), page["more"]
    assert seen == [7, 6, 5, 4, 3]
    assert len(listing(store, other, None)["requests"]) == 1
    assert before is not None
    assert read_request(store, other, before) is None  # another's


def test_requests_of_a_deleted_deployment_are_not_logged(store: Store, make: Make) -> None:
    bot = make(runRetentionMode="unlimited")
    deployments.remove(store, bot["id"])
    add(store, said(bot["id"]))
    assert store.reading.execute("SELECT count(*) FROM endpoint_requests").fetchone()[0] == 0


def test_request_totals_are_summed(store: Store, make: Make) -> None:
    bot = make()
    assert listing(store, bot, None)["totals"] == {
        **dict.fromkeys(("requests", "errors", "promptTokens", "completionTokens"), 0),
        **dict.fromkeys(("tokensPerSecond", "medianSeconds", "slowSeconds")),
    }
    for seconds in range(1, 21):
        add(store, said(bot["id"], seconds=float(seconds)))
    add(store, LoggedRequest(bot["id"], "chat/completions", status=429, seconds=900.0))
    assert listing(store, bot, None)["totals"] == {
        "requests": 21,
        "errors": 1,
        "promptTokens": 100,
        "completionTokens": 200,
        "tokensPerSecond": round(200 / 210, 2),
        "medianSeconds": 10.0,
        "slowSeconds": 19.0,
    }
