"""Every rule for the body of a deployment (docs/contract.md#deployments), from both sides."""

from __future__ import annotations

from typing import Any

import pytest

from arkor_dev.contract.deployments import CREATE, KEY, UPDATE
from arkor_dev.contract.schema import Schema, SchemaError, check

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
def test_valid_deployments_pass_unchanged(change: dict[str, Any]) -> None:
    body = {**GOOD, **change}
    assert check(body, CREATE) == body


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
def test_invalid_fields_of_a_deployment_are_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(SchemaError, match=rf"^{named}\b"):
        check({**GOOD, **change}, CREATE)
    if named != "slug":
        with pytest.raises(SchemaError, match=rf"^{named}\b"):
            check(change, UPDATE)


@pytest.mark.parametrize("missing", GOOD)
def test_a_new_deployment_needs_each_required_field(missing: str) -> None:
    with pytest.raises(SchemaError, match=f"^{missing} is missing: it must be "):
        check({name: value for name, value in GOOD.items() if name != missing}, CREATE)


@pytest.mark.parametrize("body", [{"enabled": False}, {"target": BASE}, {"authMode": "none"}, {"someday": 1}])
def test_each_field_of_a_deployment_may_be_updated_alone(body: dict[str, Any]) -> None:
    assert check(body, UPDATE) == body


SAID: list[tuple[Schema, dict[str, Any], str]] = [
    (UPDATE, {}, "Nothing to change: set target, authMode, enabled, engine or the retention"),
    (UPDATE, {"slug": "a1"}, "slug cannot be changed: delete the endpoint and create another"),
    (
        UPDATE,
        {"slug": "a1", "enabled": True},
        "slug cannot be changed: delete the endpoint and create another",
    ),
    (UPDATE, {"authMode": "basic"}, 'authMode must be one of "none", "fixed_api_key", not "basic"'),
    (
        UPDATE,
        {"target": adapter(kind="checkpoint", jobId="j")},
        "target.adapter.step is missing: a checkpoint needs one",
    ),
    (UPDATE, {"target": {"kind": "base_model"}}, "target.baseModel is missing: it names what to serve"),
    (UPDATE, {"runRetentionDays": 7}, 'runRetentionDays applies only to the retention mode "days"'),
    (KEY, {"label": ""}, 'label must be text of 1 to 80 characters, not ""'),
    (
        CREATE,
        {**GOOD, "slug": "A"},
        'slug must be 2 to 50 characters of a-z, 0-9 and dashes, with no dash at either end, not "A"',
    ),
]


@pytest.mark.parametrize(("schema", "body", "said"), SAID)
def test_schema_errors_name_field_and_rule(schema: Schema, body: dict[str, Any], said: str) -> None:
    with pytest.raises(SchemaError) as fault:
        check(body, schema)
    assert str(fault.value).startswith(said)


def test_key_labels_are_bounded() -> None:
    for label in ("  my key  ", "x", "x" * 80):
        assert check({"label": label, "someday": 1}, KEY)
    bad: list[object] = ["", "   ", "x" * 81, None, 5, ["x"]]
    for wrong in bad:
        with pytest.raises(SchemaError, match="label must be"):
            check({"label": wrong}, KEY)
