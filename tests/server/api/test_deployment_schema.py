"""Every rule for the body of a deployment (docs/contract.md#deployments), from both sides."""

from __future__ import annotations

from typing import Any

import pytest

from arkor_dev.core.errors import StudioError
from arkor_dev.server.api.deployment_schema import check_create, check_key, check_update

BASE = {"kind": "base_model", "baseModel": "tiny"}
GOOD: dict[str, Any] = {"slug": "my-bot", "target": BASE, "authMode": "none"}


def adapter(**fields: Any) -> dict[str, Any]:
    return {"kind": "adapter", "adapter": fields}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"slug": "a1"},
        {"slug": "a" * 50},
        {"slug": "0-0"},
        {"authMode": "fixed_api_key"},
        {"target": adapter(kind="final", jobId="j")},
        {"target": adapter(kind="checkpoint", jobId="j", step=0)},
        {"target": {**BASE, "note": "from later"}},
        {"runRetentionMode": "days", "runRetentionDays": 1},
        {"runRetentionMode": "forever"},
        {"runRetentionMode": None},
        {"someday": {"deep": [1]}},
    ],
)
def test_good_ones_pass_as_they_are(change: dict[str, Any]) -> None:
    body = {**GOOD, **change}
    assert check_create(body) == body


BAD_VALUES: dict[str, list[Any]] = {
    "slug": ["", "a", "a" * 51, "-a", "a-", "A1", "a_b", "a b", "ä1", "ab\n", "a.b", 12, None, ["ab"]],
    "target": [
        None,
        "tiny",
        [],
        {},
        {"kind": "other"},
        {"kind": "base_model"},
        {"kind": "base_model", "baseModel": ""},
        {"kind": "base_model", "baseModel": 1},
        {"kind": "adapter"},
        {"kind": "adapter", "adapter": "j"},
        adapter(kind="final"),
        adapter(kind="final", jobId=""),
        adapter(kind="final", jobId=3),
        adapter(kind="checkpoint", jobId="j"),
        adapter(kind="checkpoint", jobId="j", step=-1),
        adapter(kind="checkpoint", jobId="j", step="5"),
        adapter(kind="checkpoint", jobId="j", step=True),
        adapter(kind="checkpoint", jobId="j", step=1.5),
        adapter(kind="best", jobId="j"),
    ],
    "authMode": ["", "basic", None, 1, ["none"], {}],
    "enabled": ["true", 1, None],
    "runRetentionMode": [1, ["days"]],
    "runRetentionDays": [7],
}
BAD: list[tuple[dict[str, Any], str]] = [
    *(({name: value}, name) for name, values in BAD_VALUES.items() for value in values),
    *(
        ({"runRetentionMode": "days", "runRetentionDays": days}, "runRetentionDays")
        for days in (0, -1, "7", 1.5, True, None)
    ),
    ({"runRetentionMode": "days"}, "runRetentionDays"),
    ({"runRetentionMode": "forever", "runRetentionDays": 7}, "runRetentionDays"),
]


@pytest.mark.parametrize(("change", "named"), BAD)
def test_bad_ones_are_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(StudioError, match=f"`{named}`") as raised:
        check_create({**GOOD, **change})
    assert raised.value.status == 400
    if named != "slug":
        with pytest.raises(StudioError, match=f"`{named}`"):
            check_update(change)


@pytest.mark.parametrize("missing", GOOD)
def test_what_a_new_one_needs(missing: str) -> None:
    with pytest.raises(StudioError, match=f"`{missing}`"):
        check_create({name: value for name, value in GOOD.items() if name != missing})


@pytest.mark.parametrize("body", [{"enabled": False}, {"target": BASE}, {"authMode": "none"}, {"someday": 1}])
def test_any_part_may_change(body: dict[str, Any]) -> None:
    assert check_update(body) == body


def test_a_change_of_nothing_and_of_the_slug_is_refused() -> None:
    bodies: list[dict[str, object]] = [{}, {"slug": "other"}, {"slug": "other", "enabled": True}]
    for body in bodies:
        with pytest.raises(StudioError) as raised:
            check_update(body)
        assert raised.value.status == 400


def test_labels_are_trimmed_and_bounded() -> None:
    assert check_key({"label": "  my key  "}) == {"label": "my key"}
    assert check_key({"label": "x" * 80, "someday": 1}) == {"label": "x" * 80, "someday": 1}
    for label in ("", "   ", "x" * 81, None, 5, ["x"]):
        with pytest.raises(StudioError, match="`label`"):
            check_key({"label": label})
