"""An evaluation that made way for a job begins anew, however soon that job is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from arkor_dev.local.evaluation.service import Evaluations, EvaluationTask
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_an_interrupted_evaluation_is_not_a_failed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluations = Evaluations(None, None, tmp_path, tmp_path, lambda: False)  # type: ignore[arg-type]
    jobs: list[Any] = [{"id": name, "config": {}} for name in ("job_1", "job_2")]
    evaluations._tasks = {job["id"]: EvaluationTask(job, tmp_path, 10) for job in jobs}
    begun: list[str] = []

    async def evaluate(asked: EvaluationTask) -> dict[str, Any]:
        begun.append(asked.job["id"])
        if len(begun) == 1:
            evaluations.training_begins()
            raise JobFailure("It was killed (signal 9), most likely because the machine ran out of memory")
        if asked.job["id"] == "job_2":
            raise JobFailure("its data are gone")
        return {}

    monkeypatch.setattr(evaluations, "_evaluate", evaluate)
    async with evaluations.running(), asyncio.timeout(60):
        while not evaluations._tasks["job_2"].error:  # noqa: ASYNC110 - only the report shows the end
            await asyncio.sleep(0.01)
    assert begun == ["job_1", "job_1", "job_2"]
    assert evaluations.state_of("job_1") is None
    assert evaluations.state_of("job_2") == {"state": "failed", "error": "its data are gone", "step": 10}
