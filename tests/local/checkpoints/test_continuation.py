"""Whether all steps of a run were computed under the same conditions, however often it was resumed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from arkor_dev.local.checkpoints.continuation import Continuation
from arkor_dev.local.execution.messages import JobRequest
from arkor_dev.local.jobs.atomic_folder import write_atomically
from arkor_dev.local.jobs.job_folder import STATE, resume_folder
from tests.local.job_configs import config_of

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.jobs.atomic_folder import RunOrigin

JOB: Final = "job_000000000001"
ORIGIN: Final[RunOrigin] = {
    "data": "aa",
    "model": "bb",
    "rows": "cc",
    "versions": {"torch": "2.9", "arkor-dev": "1"},
    "processor": "one",
    "device": "cpu",
    "threads": 2,
    "format": "float32",
    "consistent": True,
}


def consistent(
    tmp_path: Path,
    now: RunOrigin | None = None,
    before: RunOrigin | None = ORIGIN,
    config: dict[str, Any] | None = None,
    **options: Any,
) -> object:
    """Return what later points say of a run that is resumed from a point of the origin ``before``, or
    starts.
    """
    if before is not None:
        facts: Any = {"job": JOB, "step": 20, "origin": before}

        def write(folder: Path) -> None:
            (folder / STATE).write_bytes(b"state")

        write_atomically(resume_folder(tmp_path, JOB, 20), write, facts)
    resume: Any = {"why": "It was paused.", "kept": 20, **options} if before is not None else None
    job = JobRequest(JOB, config_of(config or {}), str(tmp_path), str(tmp_path), resume)
    continuation = Continuation(job, {**(now or ORIGIN)})
    assert (continuation.resume_plan() is None) == (before is None)
    return continuation.depends_on()["consistent"]


def test_a_run_resumed_under_the_same_conditions_is_consistent(tmp_path: Path) -> None:
    assert consistent(tmp_path, before=None) is True
    assert consistent(tmp_path) is True


@pytest.mark.parametrize(
    "changed",
    [
        {"data": "dd"},
        {"model": "dd"},
        {"threads": 1},
        {"versions": {"torch": "3.0", "arkor-dev": "1"}},
        {"versions": {"torch": "2.9", "arkor-dev": "2"}},
        {"format": "bfloat16"},
    ],
    ids=lambda changed: str(changed),
)
def test_after_a_change_it_is_not(tmp_path: Path, changed: RunOrigin) -> None:
    now: RunOrigin = {**ORIGIN, **changed}
    assert consistent(tmp_path, now, force=True) is False


def test_it_never_is_again(tmp_path: Path) -> None:
    """The state before the change is removed; all later points have the new conditions only."""
    assert consistent(tmp_path, before={**ORIGIN, "consistent": False}) is False
    unknown: RunOrigin = {**ORIGIN}
    del unknown["consistent"]
    assert consistent(tmp_path, before=unknown) is False


def test_other_settings_or_a_longer_run_are_a_change(tmp_path: Path) -> None:
    assert consistent(tmp_path, config={"adjusted": [{"step": 20, "settings": {}}]}) is False
    assert consistent(tmp_path, further=20) is False
