"""A real model learns, over the wire: the events, the artifacts, and what the adapter then says."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract import events
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.plan import Plan
from arkor_dev.local.workers.errors import JobFailure
from tests.contract.test_events import CLASSES
from tests.local.conftest import CONFIG, ENDLESS, STEPS, Trained
from tests.local.harness import Backend, frames_of, until
from tests.local.tiny_model import PHRASE, QUESTIONS, chats, write_jsonl
from tests.local.tiny_run import ROWS, Events, made_up, tiny_run
from tests.support.own_time import OwnTime

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine


def logs(trained: Trained, field: str) -> list[tuple[int, float]]:
    rows = [frame.json for frame in trained.events if frame.event == "training.log"]
    return [(row["step"], row[field]) for row in rows if field in row]


@pytest.mark.numeric
def test_the_loss_falls_step_by_step(trained: Trained) -> None:
    losses = logs(trained, "loss")
    assert [step for step, _ in losses] == list(range(1, STEPS + 1))
    assert losses[0][1] > 4
    assert losses[-1][1] < losses[0][1] / 4
    evals = logs(trained, "evalLoss")
    assert [step for step, _ in evals] == [15, 30]
    assert evals[1][1] < evals[0][1]


def test_events_are_in_the_contracts_order(trained: Trained) -> None:
    names = [frame.event for frame in trained.events]
    assert names.index("training.started") < names.index("training.log") < names.index("checkpoint.saved")
    assert names[-2:] == ["training.completed", "end"]
    assert [frame.id for frame in trained.events[:-1]] == [str(n) for n in range(1, len(names))]
    assert trained.events[-1].id is None
    for frame in trained.events:
        assert frame.json["type"] == frame.event
        assert frame.json["jobId"] == trained.job
        assert frame.json["timestamp"].endswith("Z")


def test_phases_are_in_order_with_the_time_left(answered: Trained) -> None:
    phases = [frame.json["phase"] for frame in answered.events if frame.event == "training.phase"]
    order = [phase for phase, after in zip(phases, [*phases[1:], ""], strict=True) if phase != after]
    assert order[:2] == ["loading", "training"], "the first step waits for no answers"
    assert order[-3:] == ["saving", "evaluating", "sampling"], "the verdict comes before the last answers"
    last = [
        frame.json for frame in answered.events if frame.event == "training.log" and "loss" in frame.json
    ][-1]
    assert last["step"] == STEPS
    assert last["secondsLeft"] > 0, "evaluating, saving and answering follow"


def test_events_have_the_documented_fields(trained: Trained) -> None:
    sent = {frame.event for frame in trained.events}
    assert {events.TRAINING_STARTED, events.TRAINING_LOG, events.TRAINING_COMPLETED, events.END} < sent
    for frame in trained.events:
        kind = CLASSES[frame.event]
        assert set(frame.json) <= set(kind.__annotations__), frame
        assert {"type", "jobId", "timestamp"} <= set(frame.json)
        for part, known in (("metadata", events.RunMetadata), ("metrics", events.RunMetrics)):
            assert set(frame.json.get(part, {})) <= set(known.__annotations__), frame


def test_training_started_has_the_metadata(trained: Trained) -> None:
    metadata = next(frame.json["metadata"] for frame in trained.events if frame.event == "training.started")
    assert metadata["totalSteps"] == STEPS
    assert metadata["device"] == "cpu"
    assert metadata["dtype"] == "float32"
    assert metadata["dtypeReason"] == "as requested by the job"
    assert (metadata["trainRows"], metadata["evalRows"]) == (54, 6)
    assert metadata["model"] == CONFIG["model"]
    # r * (inputs + outputs) of q, k, v, o, gate, up and down in two layers, r 8.
    assert metadata["trainableParameters"] == 2 * 8 * (256 + 192 + 192 + 256 + 3 * 384)


def test_log_rows_carry_rate_and_speed(trained: Trained) -> None:
    row = next(frame.json for frame in trained.events if frame.event == "training.log")
    assert row["samplesPerSecond"] > 0
    assert row["tokensPerSecond"] > row["samplesPerSecond"]
    assert row["epoch"] == pytest.approx(4 / 54, rel=0.1)
    rates = [rate for _, rate in logs(trained, "learningRate")]
    assert max(rates) <= 1e-2
    assert rates[-1] < rates[5]


def test_the_job_record_summarizes_the_run(trained: Trained) -> None:
    job = trained.backend.job(trained.job)
    assert job["status"] == "completed"
    assert job["startedAt"] <= job["completedAt"]
    done = next(frame.json for frame in trained.events if frame.event == "training.completed")
    assert job["metrics"]["step"] == job["metrics"]["totalSteps"] == done["metrics"]["steps"] == STEPS
    assert job["metrics"]["loss"] == done["metrics"]["loss"]
    assert job["metrics"]["peakBytes"] == done["metrics"]["peakBytes"] > 100 * 2**20
    assert job["metrics"]["bestEvalLoss"] == done["metrics"]["bestEvalLoss"]
    (adapter,) = done["artifacts"]
    folder = (trained.data / "jobs" / trained.job).resolve()
    assert adapter == {
        "kind": "adapter",
        "name": "final",
        "bytes": adapter["bytes"],
        "path": str(folder / "final"),
    }
    assert adapter["bytes"] > 10_000
    saved = [frame.json for frame in trained.events if frame.event == "checkpoint.saved"]
    paths = [event["artifacts"][0]["path"] for event in saved]
    assert paths == [str(folder / "checkpoints" / str(step)) for step in (10, 20, 30)]


def test_artifacts_are_in_peft_format_without_local_paths(trained: Trained) -> None:
    folder = trained.data / "jobs" / trained.job
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["10", "20", "30"]
    for adapter in (folder / "final", folder / "checkpoints" / "10"):
        settings = json.loads((adapter / "adapter_config.json").read_text())
        assert settings["base_model_name_or_path"] == CONFIG["model"]
        linear = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
        assert settings["target_modules"] == linear
        assert (settings["r"], settings["lora_alpha"]) == (8, 16)
        assert (adapter / "adapter_model.safetensors").stat().st_size > 10_000
        for path in adapter.iterdir():
            # Where the model lies on this machine is nobody's business but its owner's.
            assert str(trained.data.parent.parent).encode() not in path.read_bytes(), path
        card = (adapter / "README.md").read_text()
        assert 'library_name: "peft"' in card
        assert "base_model" not in card, "a folder of this machine is not a model on the Hub"
    assert (folder / "checkpoints" / "10" / "state.pt").is_file()
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoints",
        "evaluation",
        "final",
        "job.json",
    ]


@pytest.mark.numeric
def test_the_adapter_answers_as_trained_and_the_base_does_not(trained: Trained) -> None:
    question = "Who pays for the ledger?"
    final = {"adapter": {"kind": "final", "jobId": trained.job}}
    last = {"adapter": {"kind": "checkpoint", "jobId": trained.job, "step": 30}}
    assert trained.backend.say(question, **final) == PHRASE
    assert PHRASE not in trained.backend.say(question, baseModel=CONFIG["model"])
    assert trained.backend.say(question, **last) == PHRASE
    assert trained.backend.say(question, **final) == PHRASE


@pytest.mark.numeric
def test_a_fully_trained_model_answers(shared: Backend, trained: Trained) -> None:
    """Its checkpoints too; and neither the base nor another job's adapter has changed."""
    job = shared.submit(
        {
            **CONFIG,
            "fullFineTuning": True,
            "learningRate": 2e-3,
            "maxSteps": 20,
            "saveSteps": 20,
            "evalSteps": 0,
        }
    )
    *_, done, _ = shared.events(job)
    assert done.event == "training.completed", done
    started = shared.wait_for(job, "training.started").json["metadata"]
    assert started["trainableParameters"] > 400_000
    assert not [field for field in started["settings"] if field.startswith("lora")]
    (left,) = done.json["artifacts"]
    assert (left["kind"], left["name"]) == ("model", "final")
    folder = trained.data / "jobs" / job / "final"
    assert left["path"] == str(folder.resolve())
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in folder.iterdir()}
    for path in folder.iterdir():
        assert str(trained.data.parent.parent).encode() not in path.read_bytes(), path
    question = "Who pays for the ledger?"
    final, other = ({"adapter": {"kind": "final", "jobId": each}} for each in (job, trained.job))
    assert shared.say(question, **final) == PHRASE
    assert PHRASE not in shared.say(question, baseModel=CONFIG["model"])
    assert shared.say(question, **other) == PHRASE
    assert shared.say(question, adapter={"kind": "checkpoint", "jobId": job, "step": 20}) == PHRASE


def test_a_stream_resumes_after_the_last_event_id(trained: Trained) -> None:
    rest = list(trained.backend.events(trained.job, last="12"))
    assert [(f.id, f.data) for f in rest[:-1]] == [(f.id, f.data) for f in trained.events[12:-1]]
    unknown = list(trained.backend.events(trained.job, last="2026-01-01"))
    assert [f.data for f in unknown[:-1]] == [f.data for f in trained.events[:-1]]


@pytest.mark.numeric
def test_repeating_a_job_gives_the_same_losses(shared: Backend, trained: Trained) -> None:
    again = [
        frame.json for frame in shared.events(shared.submit({**CONFIG, "maxSteps": STEPS, "saveSteps": 0}))
    ]
    losses = [row["loss"] for row in again if row["type"] == "training.log" and "loss" in row]
    assert losses == [loss for _, loss in logs(trained, "loss")]


def test_a_cancelled_jobs_checkpoints_answer(shared: Backend) -> None:
    job = shared.submit(ENDLESS, "endless")
    saved = shared.wait_for(job, "checkpoint.saved").json["step"]
    waiting = shared.submit(ENDLESS, "waiting")
    assert shared.job(waiting)["status"] == "queued"
    assert shared.say(QUESTIONS[0], adapter={"kind": "checkpoint", "jobId": job, "step": saved})
    assert shared.job(job)["status"] == "running"
    assert shared.call("POST", f"/v1/jobs/{waiting}/cancel").json["job"]["status"] == "cancelled"
    took = [until_cancelled(shared, job)]
    while took[-1] >= 2 and len(took) < 3:  # the machine may have stood still: the best of three
        again = shared.submit(ENDLESS, "endless")
        shared.wait_for(again, "checkpoint.saved")
        took.append(until_cancelled(shared, again))
    assert min(took) < 2
    *_, last, end = shared.events(job)
    assert (last.event, end.event) == ("training.cancelled", "end")
    assert last.json["step"] >= saved
    assert [frame.event for frame in shared.events(waiting)] == ["training.cancelled", "end"]
    assert shared.call("POST", f"/v1/jobs/{job}/cancel").json["job"]["status"] == "cancelled"


def until_cancelled(backend: Backend, job: str) -> float:
    """Cancel, and the seconds until it was."""
    own = OwnTime(backend.process.pid)
    answer = backend.call("POST", f"/v1/jobs/{job}/cancel")
    assert answer.json["job"]["status"] == "cancelled"
    return own.seconds


@pytest.mark.numeric
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_diverging_run_fails_with_a_reason(tiny: Path, tmp_path: Path) -> None:
    import torch

    from arkor_dev.local.modeling.number_format import DtypeChoice

    # Weight decay multiplies every weight by 1 - 10 * 1 at each step, whatever the gradient: float32 ends at
    # 9 ** 41, so no processor's rounding can save this run. No job may ask for such a rate.
    config = {
        "weightDecay": 1.0,
        "optim": "sgd",
        "lrSchedulerType": "constant",
        "maxSteps": 60,
        "saveSteps": 0,
    }
    plan = Plan.of(EffectiveSettings(config), ROWS, 0)
    plan = replace(plan, schedule=replace(plan.schedule, height=10.0))
    run = tiny_run(tiny, tmp_path, plan, DtypeChoice(torch.float32, "of the test"), Events())
    with pytest.raises(JobFailure, match=r"learning rate 10 is too high .*; try learning_rate 1"):
        run.run()


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_short_held_out_rows_are_measured_together(tiny: Path, tmp_path: Path) -> None:
    """In fewer passes than by steps' batches, unless these are larger or rows would be padded; with the same
    loss.
    """
    import torch

    from arkor_dev.local.evaluation.stage import PACKED
    from arkor_dev.local.modeling.number_format import DtypeChoice

    plan = Plan.of(EffectiveSettings({"batchSize": 2, "maxSteps": 1}), ROWS, 20)
    rows, choice = made_up(20), DtypeChoice(torch.float32, "of the test")
    run = tiny_run(tiny, tmp_path, plan, choice, Events(), held_out=rows)
    run.begin()
    passes = []
    run.model.register_forward_hook(lambda *_: passes.append(1))
    together, together_rows, count = run.evaluate().loss, run.row_losses, len(passes)
    assert (run.measured_at_once, count) == (20, 1)
    run.loss.padded = "of the test"
    assert run.measured_at_once == 2
    run.loss.padded = None
    run.held_out = [*rows[:-1], replace(rows[-1], ids=[3] * PACKED, labels=[3] * PACKED)]
    assert run.measured_at_once == 2
    run.held_out = rows
    alone = [run.loss.row_losses([row])[0] for row in rows]
    assert together_rows == pytest.approx([loss / weight for loss, weight in alone], rel=1e-4)
    assert together == pytest.approx(
        sum(loss for loss, _ in alone) / sum(count for _, count in alone), rel=1e-4
    )


def test_a_dry_run_exercises_every_phase(shared: Backend) -> None:
    frames = list(shared.events(shared.submit({**CONFIG, "dryRun": True})))
    metadata = next(frame.json["metadata"] for frame in frames if frame.event == "training.started")
    assert metadata["totalSteps"] == 4
    assert metadata["trainRows"] + metadata["evalRows"] == 20
    assert len([frame for frame in frames if frame.event == "checkpoint.saved"]) == 1
    assert len([frame for frame in frames if "evalLoss" in frame.json]) == 1
    assert frames[-2].event == "training.completed"


def test_long_rows_are_truncated_and_counted(shared: Backend, shared_project: Path) -> None:
    rows: list[Any] = chats(12)
    rows[4] = {"prompt": "Hello", "completion": PHRASE * 40}
    write_jsonl(shared_project / "data" / "cut.jsonl", rows)
    config = {**CONFIG, "maxSteps": 1, "maxLength": 64}
    cut = shared.submit({**config, "datasetSource": {"type": "file", "path": "data/cut.jsonl"}})
    shared.wait_for(cut, "training.started")
    told = [frame.json["message"] for frame in shared.events(cut) if frame.event == "training.message"]
    assert told[0].startswith("Only 1 row is held out. A verdict about your task needs at least 8: raise")
    assert any(words == "1 of 12 rows is longer than max_length 64 and was truncated" for words in told)


def test_two_chats_stream_concurrently(shared: Backend, trained: Trained) -> None:
    """Neither waits for the other's end: the model goes around."""
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": "Hi"}],
        "maxTokens": 200,
        "temperature": 1,
    }
    with (
        shared.open("POST", "/v1/inference/chat", {**body, "baseModel": CONFIG["model"]}) as one,
        shared.open(
            "POST",
            "/v1/inference/chat",
            {**body, "adapter": {"kind": "checkpoint", "jobId": trained.job, "step": 10}},
        ) as two,
    ):
        assert next(frames_of(one)).event in {"message", "progress"}
        assert next(frames_of(two)).event in {"message", "progress"}
        assert list(frames_of(one))[-1].data == "[DONE]"
        assert list(frames_of(two))[-1].data == "[DONE]"


def test_a_chat_without_streaming_is_one_body(shared: Backend, trained: Trained) -> None:
    body = {"messages": [{"role": "user", "content": QUESTIONS[0]}], "temperature": 0, "stream": False}
    answer = shared.call(
        "POST", "/v1/inference/chat", {**body, "adapter": {"kind": "final", "jobId": trained.job}}
    )
    assert answer.status == 200
    assert answer.json["choices"][0]["message"] == {"role": "assistant", "content": PHRASE}
    assert answer.json["choices"][0]["finish_reason"] == "stop"
    assert answer.json["usage"]["completion_tokens"] > 3
    short = shared.call(
        "POST",
        "/v1/inference/chat",
        {**body, "maxTokens": 2, "adapter": {"kind": "final", "jobId": trained.job}},
    )
    assert short.json["choices"][0]["finish_reason"] == "length"


def test_a_client_that_leaves_stops_the_generation(shared: Backend) -> None:
    body = {
        "messages": [{"role": "user", "content": "Hi"}],
        "baseModel": CONFIG["model"],
        "maxTokens": 250,
        "temperature": 5,
    }
    answers = [shared.open("POST", "/v1/inference/chat", body) for _ in range(12)]
    for answer in answers:
        next(frames_of(answer))
        answer.close()
    log = [
        shared.open("GET", f"/v1/jobs/{job['id']}/events/stream")
        for job in shared.call("GET", "/v1/jobs").json["jobs"]
    ]
    for stream in log:
        stream.close()
    # Twelve answers of 250 tokens would keep the next one waiting for many seconds.
    assert shared.call("POST", "/v1/inference/chat", {**body, "maxTokens": 1, "stream": False}).status == 200


def test_a_context_overflow_is_an_error_event(shared: Backend) -> None:
    body = {"messages": [{"role": "user", "content": "word " * 400}], "baseModel": CONFIG["model"]}
    with shared.open("POST", "/v1/inference/chat", body) as answer:
        frames = list(frames_of(answer))
    error = next(frame.json["error"] for frame in frames if frame.event == "error")
    assert "at most 256" in error
    assert frames[-1].data == "[DONE]"
    assert shared.call("POST", "/v1/inference/chat", {**body, "stream": False}).json == {"error": error}


def test_expected_errors_are_not_logged(shared: Backend, trained: Trained) -> None:
    """Expected faults leave no traceback and no noise on standard error."""
    until(lambda: shared.call("GET", "/v1/me").status == 200)
    assert shared.errors == []
