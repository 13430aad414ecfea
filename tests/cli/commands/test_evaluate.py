"""``arkor-dev evaluate``: the verdict in words and as JSON, and why there is none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.cli.commands.evaluate import lines
from arkor_dev.client import background_work

from .test_jobs import Command, command

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend

__all__ = ["command"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_work, "LOOK_SECONDS", 0.01)


async def test_evaluate_prints_verdict_and_changed_rows(
    command: Command, signed_in: None, fake_backend: FakeBackend
) -> None:
    fake_backend.features = ["evaluation"]
    job = fake_backend.add_job("completed", name="keeper")
    verdict, *rows = (await command.run(0, "evaluate", job)).splitlines()
    assert verdict == "Better at your task (3.42 → 1.91, only 12 rows), worse in general (2.05 → 2.36)."
    task, general, answers, split, best = rows[:5]
    assert task.startswith("Your task: better, loss 1.91 vs. 3.42 for the base on 12 held-out rows")
    assert general.startswith("General questions: worse, loss 2.36 vs. 2.05 for the base")
    assert "6 repeat themselves (base 0); 0 refuse (base 1)" in answers
    assert split.startswith("Rows of one document were kept together")
    assert best.startswith("None of 4 evaluations was better")
    assert rows[5:8] == ["", "Most improved:", "  3.10 → 1.80  Where is parcel number 1?"]
    found = json.loads(await command.run(0, "evaluate", "latest", "--json"))
    assert (found["evaluation"]["verdict"], len(found["rows"])) == ("mixed", 12)
    assert found["evaluation"]["general"]["answers"]["adapter"]["repeating"] == 6
    assert found["answers"][1]["base"] == "I cannot help with that."


async def test_a_checkpoint_is_evaluated_by_its_step(
    command: Command, signed_in: None, fake_backend: FakeBackend
) -> None:
    fake_backend.features = ["evaluation"]
    job = fake_backend.add_job("completed")
    fake_backend.emit(job, "checkpoint.saved", step=20)
    found = json.loads(await command.run(0, "evaluate", job, "--checkpoint", "20", "--json"))
    assert found["evaluation"]["step"] == 20
    assert fake_backend.last("POST /v1/jobs/{id}/evaluate").json() == {"step": 20}


async def test_a_repeated_evaluation_joins_the_running_one(
    command: Command, signed_in: None, fake_backend: FakeBackend
) -> None:
    fake_backend.features = ["evaluation"]
    job = fake_backend.add_job("completed")
    fake_backend.emit(job, "checkpoint.saved", step=20)
    fake_backend.evaluations.begun(job)
    assert "being evaluated already" in await command.run(2, "evaluate", job, "--checkpoint", "20")
    found = json.loads(await command.run(0, "evaluate", job, "--json"))
    assert found["evaluation"]["verdict"] == "mixed"


async def test_rows_of_a_project_file_are_evaluated(
    command: Command, signed_in: None, fake_backend: FakeBackend, settings: Settings, tmp_path: Path
) -> None:
    fake_backend.features = ["evaluation"]
    job = fake_backend.add_job("completed")
    file = settings.project / "data" / "other rows.jsonl"
    found = json.loads(await command.run(0, "evaluate", job, "--data", str(file), "--json"))
    assert found["evaluation"]["data"] == "data/other rows.jsonl"
    sent = fake_backend.last("POST /v1/jobs/{id}/evaluate").json()
    assert sent == {"data": "data/other rows.jsonl"}
    before = fake_backend.count("POST /v1/jobs/{id}/evaluate")
    for outside in (str(tmp_path / "elsewhere.jsonl"), "/etc/passwd", "../\x1b[31mup"):
        assert "is not in the project" in await command.run(2, "evaluate", job, "--data", outside)
    assert fake_backend.count("POST /v1/jobs/{id}/evaluate") == before


async def test_evaluation_at_other_strengths_is_printed(
    command: Command, signed_in: None, fake_backend: FakeBackend
) -> None:
    fake_backend.features = ["evaluation", "strengths"]
    job = fake_backend.add_job("completed")
    said = (await command.run(0, "evaluate", job, "--strengths")).splitlines()
    assert "At strength 0.5 it keeps 81% of the gain for 19% of the harm." in said
    route = "POST /v1/jobs/{id}/evaluate"
    asked = [seen.json() for seen in fake_backend.requests if seen.route == route]
    assert asked == [{}, {"strengths": True}]
    assert "name JOB alone" in await command.run(2, "evaluate", job, "--strengths", "--checkpoint", "20")
    fake_backend.features = ["evaluation"]
    assert "can't measure other strengths" in await command.run(2, "evaluate", job, "--strengths")


async def test_evaluate_needs_the_feature(
    command: Command, signed_in: None, settings: Settings, tmp_path: Path
) -> None:
    (settings.project / "rows.jsonl").touch()
    folder = ["--adapter", str(tmp_path), "--data", str(settings.project / "rows.jsonl"), "--managed"]
    assert "can't evaluate an adapter that another program" in await command.run(2, "evaluate", *folder)
    assert "--model goes with --adapter" in await command.run(2, "evaluate", "latest", "--model", "tiny")


async def test_two_adapters_are_compared(
    command: Command, signed_in: None, fake_backend: FakeBackend
) -> None:
    fake_backend.features = ["evaluation"]
    one, two = fake_backend.add_job("completed", name="one"), fake_backend.add_job("completed", name="two")
    fake_backend.evaluations.judge(one)
    said = await command.run(0, "evaluate", one, "--against", two)
    assert said == "Better than two: loss 1.66 vs. 1.91 on 12 held-out rows.\n"
    assert "takes 3 seeds of both" in await command.run(2, "evaluate", one, "--against", two, "--settings")
    fake_backend.evaluations.repeated = True
    said = await command.run(0, "evaluate", one, "--against", two, "--settings")
    assert said == "These settings are better than those of two: mean held-out loss 1.700.\n"
    assert "name the other by --against" in await command.run(2, "evaluate", one, "--settings")
    # The one had been evaluated; the other was for this.
    assert fake_backend.count("POST /v1/jobs/{id}/evaluate") == 1
    assert dict(fake_backend.last("GET /v1/jobs/{id}/evaluation").url.query)["against"] == two
    found = json.loads(await command.run(0, "evaluate", one, "--against", two, "--json"))
    assert found["comparison"]["difference"]["low"] == 0.12
    fake_backend.evaluations.unlike.add(two)
    assert "were evaluated on different rows" in await command.run(2, "evaluate", one, "--against", two)
    assert "There is no job x" in await command.run(2, "evaluate", one, "--against", "x")


async def test_a_failed_evaluation_has_its_reason(
    command: Command, signed_in: None, fake_backend: FakeBackend
) -> None:
    job = fake_backend.add_job("completed")
    assert "This backend can't evaluate" in await command.run(2, "evaluate", job)
    fake_backend.features = ["evaluation"]
    assert "Name a job" in await command.run(2, "evaluate")
    fake_backend.evaluations.changed.add(job)
    assert "add --force" in await command.run(2, "evaluate", job)
    fake_backend.evaluations.failing[job] = "no rows\x1b[31m were held out"
    assert "Evaluation failed: no rows were held out" in await command.run(2, "evaluate", job, "--force")
    running = fake_backend.add_job("running")
    assert "is running" in await command.run(2, "evaluate", running)


def test_rows_are_sorted_by_change() -> None:
    rows: list[Any] = [
        {"base": 3.0, "adapter": 1.0, "question": "a\u202eb\nc"},
        {"base": 2.0, "adapter": 2.5, "question": "", "wanted": "a text"},
        {"base": 2.0, "adapter": 2.0, "question": "alike"},
        {"base": None, "adapter": 2.0},
        "no row",
    ]
    assert lines(rows) == [
        "",
        "Most improved:",
        "  3.00 → 1.00  ab c",
        "",
        "Most degraded:",
        "  2.00 → 2.50  a text",
    ]
    assert lines(None) == lines([]) == []
    rewarded: list[Any] = [
        {"base": 0.0, "adapter": 1.0, "question": "reached"},
        {"base": 1.0, "adapter": 0.0, "question": "missed"},
    ]
    assert lines(rewarded, higher=True) == [
        "",
        "Most improved:",
        "  0.00 → 1.00  reached",
        "",
        "Most degraded:",
        "  1.00 → 0.00  missed",
    ]
