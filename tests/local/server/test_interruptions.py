"""A job stands with the backend's end and goes on with its next start; changed data ask first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.provenance.statement import read_statement
from tests.local.conftest import CONFIG, ENDLESS, make_project
from tests.local.harness import Backend, until
from tests.local.tiny_model import chats, write_jsonl

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300), pytest.mark.usefixtures("forked_workers")]


def said(backend: Backend) -> list[str]:
    return [notice["text"] for notice in backend.notices if notice["notice"] == "message"]


def test_a_job_pauses_at_shutdown_and_resumes_at_the_next_start(tmp_path: Path, tiny: Path) -> None:
    """No step is lost, though no checkpoint was saved; and what changes meanwhile is not passed over."""
    project = make_project(tmp_path / "tests", tiny)
    for number in range(3):  # it has two seconds to come to stand: a machine that stands still has none
        data = tmp_path / f"data{number}"
        first = Backend.start(data, project, tmp_path / "cache")
        job = first.submit({**ENDLESS, "saveSteps": 0}, "support-bot")
        first.wait_for(job, "training.log")
        assert first.process.stdin
        first.process.stdin.close()
        assert first.process.wait(30) == 0
        first.stop()
        (told,) = until(lambda: [text for text in said(first) if "The job support-bot" in text])  # noqa: B023
        if "is paused after step" in told:
            break
    assert told.startswith("The job support-bot is paused after step ")
    step = int(told.split("is paused after step ")[1].partition(".")[0])

    second = Backend.start(data, project, tmp_path / "cache")
    try:
        resumed = second.wait_for(job, "training.resumed").json
        assert resumed["step"] == step
        assert resumed["message"] == "The local backend stopped while this job was training."
        until(lambda: [text for text in said(second) if text.startswith("support-bot resumed at step")])
        until(lambda: second.job(job)["metrics"].get("step", 0) > step, 90)
        paused = second.call("POST", f"/v1/jobs/{job}/pause").json["job"]
        assert paused["status"] == "paused"

        write_jsonl(project / "data" / "chats.jsonl", chats(50))
        refused = second.call("POST", f"/v1/jobs/{job}/resume", {})
        assert refused.status == 409
        assert "the files of its data set have changed" in refused.json["error"]
        assert refused.json["changed"] is True
        assert "force" in refused.json["error"]
        assert second.job(job) == paused
        assert second.call("POST", f"/v1/jobs/{job}/resume", {"force": True}).status == 200
        until(lambda: second.job(job)["metrics"].get("step", 0) > paused["pause"]["step"], 90)
        resumptions = (frame.json for frame in second.events(job) if frame.event == "training.resumed")
        assert next(resumptions) == resumed
        last = next(resumptions)
        assert "may differ" in last["message"]
        assert "the files of its data set have changed" in last["message"]
    finally:
        second.stop()


def test_extending_a_job_can_repeat_the_warmup(tmp_path: Path, tiny: Path) -> None:
    backend = Backend.start(tmp_path / "data", make_project(tmp_path / "tests", tiny), tmp_path / "cache")
    try:
        config = {**CONFIG, "maxSteps": 6, "warmupSteps": 2, "evalSteps": 0, "saveSteps": 0}
        job = backend.submit(config)
        backend.wait_for(job, "training.completed")
        body = {"maxSteps": 10, "schedule": "restart"}
        assert backend.call("POST", f"/v1/jobs/{job}/extend", body).status == 200
        until(lambda: backend.job(job)["status"] == "completed", 90)
        rates = [frame.json["learningRate"] for frame in backend.events(job) if frame.event == "training.log"]
        height = config["learningRate"]
        assert rates == pytest.approx(
            [0, height / 2, height, height * 3 / 4, height / 2, height / 4, 0, height / 2, height, height / 2]
        )
        assert backend.job(job)["metrics"]["totalSteps"] == 10
        # What was left is looked at before it answers, or another job begins from it.
        weights = tmp_path / "data" / "jobs" / job / "final" / "adapter_model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1])
        ask = {"messages": [{"role": "user", "content": "Hi"}], "adapter": {"kind": "final", "jobId": job}}
        answer = backend.call("POST", "/v1/inference/chat", ask)
        assert answer.status == 409
        assert "adapter_model.safetensors has a different size" in answer.json["error"]
        branch = {"name": "branch", "config": config, "parent": {"jobId": job}}
        assert backend.call("POST", "/v1/jobs", branch).status == 409
        dry = backend.submit({**config, "dryRun": True})
        backend.wait_for(dry, "training.completed")
        refused = backend.call("POST", f"/v1/jobs/{dry}/extend", body)
        assert (refused.status, "changed" in refused.json) == (409, False)
    finally:
        backend.stop()


def test_a_running_job_continues_with_changed_settings_which_are_recorded(tmp_path: Path, tiny: Path) -> None:
    backend = Backend.start(tmp_path / "data", make_project(tmp_path / "tests", tiny), tmp_path / "cache")
    try:
        config = {**CONFIG, "maxSteps": 5000, "lrSchedulerType": "constant", "evalSteps": 0, "saveSteps": 0}
        job = backend.submit({**config, "adjusted": [{"step": 1, "settings": {}}]})
        assert "adjusted" not in backend.job(job)["config"]  # only the backend says what was changed
        until(lambda: backend.job(job)["metrics"].get("step", 0) >= 3, 90)
        adjust = f"/v1/jobs/{job}/adjust"
        for settings, words in (
            ({"loraR": 2}, "lora.r cannot change while a job continues"),
            ({"learningRate": -1}, "learningRate must be"),
            ({"learningRate": config["learningRate"]}, "already has these settings"),
            ({"maxSteps": 2}, "steps must be more than"),
            ({}, "settings"),
        ):
            refused = backend.call("POST", adjust, {"settings": settings})
            assert refused.status == 400
            assert words in refused.json["error"]
        assert backend.job(job)["status"] == "running"
        rate = config["learningRate"] / 2
        before = backend.job(job)["metrics"]["step"]
        changes = {"learningRate": rate, "maxSteps": before + 50}
        answer = backend.call("POST", adjust, {"settings": changes})
        assert (answer.status, answer.json["job"]["status"]) == (200, "queued")
        (change,) = answer.json["job"]["config"]["adjusted"]
        step = change["step"]
        assert step >= before
        assert change["settings"] == {
            "learningRate": [config["learningRate"], rate], "maxSteps": [5000, before + 50],
        }  # fmt: skip
        backend.wait_for(job, "training.completed")
        frames = backend.events(job)
        resumed = next(frame.json for frame in frames if frame.event == "training.resumed")
        assert resumed["step"] == step
        assert resumed["message"] == (
            f"Its settings were changed: steps 5000 → {before + 50}, "
            f"learning_rate {config['learningRate']} → {rate}."
        )
        rates = {
            frame.json["step"]: frame.json["learningRate"]
            for frame in frames
            if frame.event == "training.log"
        }
        assert {rates[number] for number in rates if 1 < number <= step} <= {config["learningRate"]}
        assert {rates[number] for number in rates if number > step} == {rate}
        assert max(rates) == before + 50
        internal = read_statement(tmp_path / "data" / "jobs" / job / "final")["predicate"]["buildDefinition"]
        assert internal["internalParameters"]["adjusted"] == [
            {"step": step, "from": {"learningRate": config["learningRate"], "maxSteps": 5000},
             "to": {"learningRate": rate, "maxSteps": before + 50}},
        ]  # fmt: skip
        refused = backend.call("POST", adjust, {"settings": {"learningRate": 1e-9}})
        assert (refused.status, "it is completed" in refused.json["error"]) == (409, True)
    finally:
        backend.stop()
