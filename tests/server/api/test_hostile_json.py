"""Numbers that are none, depth without end, half characters: refused or passed on, never a 500."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.hostile_json import VALUES, with_value

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

TARGET = '{"kind": "adapter", "adapter": {"kind": "checkpoint", "jobId": "j", "step": 1}}'
DAYS = '"runRetentionMode": "days", "runRetentionDays"'
BODIES = {
    ("POST", "/api/train"): ['{"trainer": @}', '{"file": @}', '{"dryRun": @}', '{"extra": @}', "@"],
    ("POST", "/api/inference/chat"): [
        '{"messages": @}', '{"messages": [], "temperature": @}', '{"messages": [], "maxTokens": @}', "@",
    ],
    ("POST", "/api/deployments"): [
        f'{{"slug": "ab", "target": {TARGET}, "authMode": "none", "extra": @}}',
        f'{{"slug": @, "target": {TARGET}, "authMode": "none"}}',
        f'{{"slug": "ab", "target": {TARGET.replace("1}", "@}")}, "authMode": "none"}}',
        f'{{"slug": "ab", "target": {TARGET}, "authMode": @}}',
        f'{{"slug": "ab", "target": {TARGET}, "authMode": "none", "runRetentionDays": @}}',
        f'{{"slug": "ab", "target": {TARGET}, "authMode": "none", {DAYS}: @}}',
        "@",
    ],
    ("PATCH", "/api/deployments/d"): ['{"enabled": @}', '{"target": @}', '{"extra": @}', "@"],
    ("POST", "/api/deployments/d/keys"): ['{"label": @}', '{"label": "a", "extra": @}', "@"],
}  # fmt: skip


@pytest.mark.parametrize(("method", "path"), BODIES, ids=lambda part: part)
async def test_hostile_json_bodies_are_forwarded_or_refused(
    method: str, path: str, studio: Studio, fake_backend: FakeBackend
) -> None:
    wrong: list[tuple[object, ...]] = []
    for template in BODIES[method, path]:
        for name, value in VALUES.items():
            before = len(fake_backend.requests)
            async with studio.session.request(method, path, data=with_value(template, value)) as answer:
                body = await answer.read()
            sent = [request.body for request in fake_backend.requests[before:]]
            if answer.status >= 500 or (answer.status >= 400 and b'"error"' not in body):
                wrong.append((template, name, answer.status, body[:200]))
            # Numbers that other JSON readers refuse are not passed on.
            wrong += [
                (template, name, "sent") for data in sent for word in (b"NaN", b"Infinity") if word in data
            ]
    assert wrong == []


@pytest.mark.parametrize(
    "value", ["9" * 400, "9" * 5000, "-1", "NaN", "1e999", "٣", "%00", "%ed%a0%80", "a" * 7000]
)
async def test_hostile_query_values_are_refused(value: str, studio: Studio) -> None:
    paths = [
        f"/api/jobs/x/history?after={value}", f"/api/jobs/x/events?after={value}&studioToken={value}",
        f"/api/jobs/{value}/history", f"/api/train/{value}/output", f"/api/deployments/{value}",
        f"/api/jobs?limit={value}", f"/api/manifest?x={value}",
    ]  # fmt: skip
    for path in paths:
        async with studio.session.get(path, headers={"Last-Event-ID": "9" * 5000}) as answer:
            assert answer.status < 500, path


ANSWERS = {
    "GET /v1/me": "/api/me",
    "GET /v1/jobs": "/api/jobs",
    "GET /v1/endpoints": "/api/deployments",
    "GET /v1/endpoints/{id}": "/api/deployments/d",
    "GET /v1/endpoints/{id}/keys": "/api/deployments/d/keys",
}


@pytest.mark.parametrize(("call", "path"), ANSWERS.items(), ids=ANSWERS)
async def test_hostile_responses_of_the_backend_are_forwarded_or_502(
    call: str, path: str, studio: Studio, fake_backend: FakeBackend
) -> None:
    for status in (200, 400):
        for name, value in VALUES.items():
            fake_backend.fault(call, status=status, body=with_value('{"error": "no", "x": @}', value))
            async with studio.session.get(path) as answer:
                body = await answer.read()
            assert answer.status in (status, 200, 502), (name, body[:200])
            if answer.status >= 400:
                assert "error" in json.loads(body, parse_constant=pytest.fail), name


async def test_parser_and_serializer_accept_the_same_nesting_depth(studio: Studio) -> None:
    """What is read is sent on: there is no depth that one of the two takes and the other does not."""
    for depth in (*range(850, 1000), *range(1_400, 1_500)):
        body = with_value('{"label": "a", "extra": @}', "[" * depth + "]" * depth)
        async with studio.session.post("/api/deployments/d/keys", data=body) as answer:
            assert answer.status < 500, depth
