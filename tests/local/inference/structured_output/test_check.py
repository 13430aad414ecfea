"""The limited process that compiles formats: a hostile one is refused in time, and nothing else is harmed."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("llguidance")

from arkor_dev.contract.errors import BadRequestError, RateLimitedError, UnavailableError
from arkor_dev.local.inference import limited_checks
from arkor_dev.local.inference.limited_checks import WAITING_OF_ONE
from arkor_dev.local.inference.structured_output import check_worker
from arkor_dev.local.inference.structured_output.check import TOO_MUCH, FormatChecks
from arkor_dev.local.inference.structured_output.schemas import read
from arkor_dev.local.workers.process import PASSED, Child

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from arkor_dev.local.inference.check_messages import CompileSchema

ME = "me"
STARTED = 5.0
"""Seconds of processor time, at most, in which such a process starts and loads its library."""
USUAL = {"type": "object", "properties": {"a": {"type": "string"}}}


def as_json(schema: Any) -> str:
    return json.dumps(read(schema))


@pytest.fixture
async def checks() -> AsyncIterator[FormatChecks]:
    checks = FormatChecks()
    yield checks
    await checks.close()


def product(factors: int, terms: int) -> Any:
    """Alternatives that multiply: ``terms`` to the power of ``factors`` objects."""
    return {
        "allOf": [
            {
                "anyOf": [
                    {"type": "object", "properties": {f"a{factor}_{term}": {"type": "string"}}}
                    for term in range(terms)
                ]
            }
            for factor in range(factors)
        ]
    }


HOSTILE: dict[str, Any] = {
    "a product of alternatives": product(12, 8),
    "an exponential automaton": {
        "type": "string",
        "pattern": "^.*a.{300}$",
        "minLength": 9,
        "maxLength": 900,
    },
    "look-around": {"type": "string", "pattern": "(?=a)b"},
    "a broken pattern": {"type": "string", "pattern": "(["},
    "names that overlap": {"patternProperties": {f"^.*{c}.{{1,90}}$": True for c in "abcdef"}},
    "nothing fits": {"type": "integer", "minimum": 5, "maximum": 4},
    "types that exclude each other": {"allOf": [{"type": "string"}, {"type": "integer"}]},
    "alternatives that may both fit": {"oneOf": [{"type": "number"}, {"type": "integer"}]},
    "two trees in one": {
        "allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}],
        "$defs": {
            name: {"type": "object", "properties": {"child": {"$ref": f"#/$defs/{name}"}}} for name in "ab"
        },
    },
}


def of_children() -> float:
    """Seconds of processor time that the processes have had which this one started and which have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_schemas_are_refused_within_the_time_limit(
    checks: FormatChecks, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It is processor time that its process has little of: by the clock that may be more, beside others."""
    monkeypatch.setattr(limited_checks, "SECONDS", 3 * limited_checks.SECONDS)
    began = of_children()
    with pytest.raises(BadRequestError, match="responseFormat cannot be enforced: ") as fault:
        await checks.check(ME, as_json(HOSTILE[name]), "responseFormat")
    assert fault.value.extra == {"param": "responseFormat", "code": "invalid_value"}
    assert len(fault.value.text) < 400
    assert "/work" not in fault.value.text
    await checks.check(ME, as_json(USUAL), "responseFormat")
    await checks._end()
    # Two processes for the one schema at most, a third one for the other; the system counts whole seconds.
    assert of_children() - began < 3 * STARTED + 2 * (check_worker.KILL_SECONDS + 1)


async def test_each_schema_is_checked_once(checks: FormatChecks) -> None:
    wrong = as_json(HOSTILE["nothing fits"])

    async def both() -> None:
        await checks.check(ME, as_json(USUAL), "responseFormat")
        with pytest.raises(BadRequestError, match="toolChoice cannot be enforced: "):
            await checks.check(ME, wrong, "toolChoice")

    await both()
    first: object = checks._child
    assert first
    await checks._end()
    await both()
    # A caller's text may be megabytes: what is remembered is not.
    assert {len(key) for key in checks._results} == {64}
    assert checks._child is None  # nobody was asked again


async def test_a_schema_that_kills_the_checker_is_refused(
    checks: FormatChecks, monkeypatch: pytest.MonkeyPatch
) -> None:
    died: list[int] = []
    send = Child.send

    def killed(child: Child, request: CompileSchema) -> None:
        if "array" in request.schema:
            died.append(child.pid)
            child.kill()
        send(child, request)

    monkeypatch.setattr(Child, "send", killed)
    for _ in range(2):
        with pytest.raises(BadRequestError, match=TOO_MUCH):
            await checks.check(ME, as_json({"type": "array"}), "responseFormat")
        await checks.check(ME, as_json({"type": "string"}), "responseFormat")
    # It was tried again, as somebody else may have killed the first process; its outcome is remembered.
    assert len(set(died)) == 2


async def test_a_killed_checker_is_restarted(checks: FormatChecks) -> None:
    await checks.check(ME, as_json(USUAL), "responseFormat")
    child = checks._child
    assert child
    os.kill(child.pid, signal.SIGKILL)
    await checks.check(ME, as_json({"type": "array"}), "responseFormat")
    assert checks._child is not child


async def test_a_broken_checker_is_not_blamed_on_the_schema(
    checks: FormatChecks, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Child.start

    async def broken(_: str, *args: Any, **more: Any) -> Any:
        return await start("arkor_dev.no_such_module", *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Child, "start", broken)
        with pytest.raises(UnavailableError, match="no_such_module"):
            await checks.check(ME, as_json(USUAL), "responseFormat")
    await checks.check(ME, as_json(USUAL), "responseFormat")


async def test_a_hanging_checker_is_killed(checks: FormatChecks, monkeypatch: pytest.MonkeyPatch) -> None:
    await checks.check(ME, as_json(USUAL), "responseFormat")
    child = checks._child
    assert child
    monkeypatch.setattr(child, "send", lambda _: None)
    monkeypatch.setattr(limited_checks, "SECONDS", 0.1)
    with pytest.raises(UnavailableError, match="in time"):
        await checks.check(ME, as_json({"type": "array"}), "responseFormat")
    assert child._process.returncode == -signal.SIGKILL
    monkeypatch.undo()
    await checks.check(ME, as_json({"type": "array"}), "responseFormat")


async def test_a_cancelled_check_does_not_mix_up_results(
    checks: FormatChecks, monkeypatch: pytest.MonkeyPatch
) -> None:
    await checks.check(ME, as_json(USUAL), "responseFormat")
    child = checks._child
    assert child
    sent = asyncio.Event()
    monkeypatch.setattr(child, "send", lambda _: sent.set())
    left = asyncio.create_task(checks.check(ME, as_json(HOSTILE["nothing fits"]), "responseFormat"))
    await sent.wait()
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    assert child._process.returncode == -signal.SIGKILL
    await checks.check(ME, as_json({"type": "array"}), "responseFormat")
    with pytest.raises(BadRequestError):
        await checks.check(ME, as_json(HOSTILE["nothing fits"]), "responseFormat")


async def test_closing_during_a_check_starts_no_process(
    checks: FormatChecks, monkeypatch: pytest.MonkeyPatch
) -> None:
    await checks.check(ME, as_json(USUAL), "responseFormat")
    sent = asyncio.Event()
    monkeypatch.setattr(Child, "send", lambda *_: sent.set())
    waiting = asyncio.create_task(checks.check(ME, as_json({"type": "array"}), "responseFormat"))
    await sent.wait()
    await checks.close()
    with pytest.raises(UnavailableError, match="is ending"):
        await waiting
    assert checks._child is None


async def test_a_flood_of_schemas_limits_only_its_caller(
    checks: FormatChecks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Schemas that reach the limits are tried once each, and callers take turns."""
    tried: list[str] = []
    send = Child.send

    def sent(child: Child, request: CompileSchema) -> None:
        tried.append(request.schema)
        if "maxLength" in request.schema:
            os.kill(child.pid, signal.SIGXCPU)  # what the system sends where its time is up
        send(child, request)

    monkeypatch.setattr(Child, "send", sent)
    slow = [as_json({"type": "string", "maxLength": length}) for length in range(2 * WAITING_OF_ONE)]
    flood = asyncio.gather(
        *(checks.check("slow", each, "responseFormat") for each in slow), return_exceptions=True
    )
    await asyncio.sleep(0)
    await checks.check(ME, as_json(USUAL), "responseFormat")
    assert len(tried) <= 3  # the one under way, one more at most, and this one
    found = await flood
    assert sum(isinstance(each, RateLimitedError) for each in found) == len(slow) - 1 - WAITING_OF_ONE
    assert all(TOO_MUCH in str(each) for each in found if not isinstance(each, RateLimitedError))
    assert len(tried) == len(set(tried)) == 1 + WAITING_OF_ONE + 1
    await checks.check(ME, as_json({"type": "null"}), "responseFormat")


async def test_slow_schemas_delay_no_other_caller(
    checks: FormatChecks, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, running = Child.send, asyncio.Event()

    def sent(child: Child, request: CompileSchema) -> None:
        if "minLength" in request.schema:
            os.kill(child.pid, signal.SIGXCPU)
        if "maxLength" in request.schema:
            running.set()  # and its answer never comes
        else:
            send(child, request)

    monkeypatch.setattr(Child, "send", sent)
    with pytest.raises(BadRequestError, match=TOO_MUCH):
        await checks.check("slow", as_json({"type": "string", "minLength": 1}), "responseFormat")
    endless = asyncio.create_task(
        checks.check("slow", as_json({"type": "string", "maxLength": 1}), "responseFormat")
    )
    async with asyncio.timeout(10):
        await running.wait()
        await checks.check(ME, as_json(USUAL), "responseFormat")
    assert not endless.done()
    endless.cancel()
    with pytest.raises(asyncio.CancelledError):
        await endless


async def test_an_idle_checker_ends() -> None:
    checks = FormatChecks(idle_seconds=0.1)
    await checks.check(ME, as_json(USUAL), "responseFormat")
    child = checks._child
    assert child
    async with asyncio.timeout(30):
        await child.ended()
    await checks.check(ME, as_json({"type": "array"}), "responseFormat")
    await checks.close()


async def test_the_checker_has_no_secrets_and_no_project_modules(
    checks: FormatChecks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    for name in ("llguidance", "json", "arkor_dev"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    seen: dict[str, str] = {}
    start = Child.start

    async def watched(module: str, env: dict[str, str], *, alone: bool) -> Any:
        assert alone
        seen.update(env)
        return await start(module, env, alone=alone)

    monkeypatch.setattr(Child, "start", watched)
    await checks.check(ME, as_json(USUAL), "responseFormat")
    assert set(seen) <= {*PASSED, "PYTHONSAFEPATH"}
