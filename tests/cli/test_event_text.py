"""Events in words, pace and time left, and hostile fields."""

from __future__ import annotations

from typing import Any

import pytest

from arkor_dev.cli.event_text import (
    RunLines,
    clock,
    forecast_line,
    ordinal,
    phase_of,
    progress_of,
    time_left,
    verdict_lines,
    waiting_line,
)
from arkor_dev.jobs.follow import JobEvent, Waiting, waiting_of


def row(step: int, second: float, **fields: object) -> JobEvent:
    timestamp = f"2026-01-01T00:{int(second // 60):02}:{second % 60:06.3f}Z"
    return JobEvent("training.log", {"step": step, "timestamp": timestamp, **fields})


def test_events_of_a_run_become_lines() -> None:
    run = RunLines()
    metadata = {
        "totalSteps": 40,
        "device": "cpu",
        "dtype": "float32",
        "trainRows": 92,
        "evalRows": 10,
        "model": "m",
    }
    artifacts = [{"kind": "checkpoint", "bytes": 1_500_000}, {"kind": "x"}, 3]
    metrics = {"loss": 0.5, "evalLoss": 1.25, "bestEvalLoss": 1.0, "steps": 40, "seconds": 62.4}
    events = [
        JobEvent("training.started", {"metadata": metadata}),
        row(1, 0, loss=3.7, learningRate=1e-3),
        row(11, 12, loss=2.1341, learningRate=1.9e-4),
        row(11, 30, evalLoss=2.4),
        row(12, 31.2, loss=2, evalLoss=2.3),
        JobEvent("checkpoint.saved", {"step": 20, "artifacts": artifacts}),
        JobEvent("training.completed", {"metrics": metrics}),
    ]
    assert [run.read(event) for event in events] == [
        "training: m, on cpu float32, 92 rows to train on, 10 held out, 40 steps",
        "step 1/40  loss 3.700  lr 1.0e-03",
        "step 11/40  loss 2.134  lr 1.9e-04  1.2 s/step  0:35 left",
        "step 11/40  eval 2.400",
        "step 12/40  loss 2.000  eval 2.300  2.8 s/step  1:19 left",
        "step 20: checkpoint saved, 1.5 MB",
        "completed: loss 0.500, eval loss 1.250, best eval loss 1.000, 40 steps in 1:02",
    ]
    assert (run.step, run.total, run.figures, run.ended) == (12, 40, {"loss": 2, "eval": 2.3}, "completed")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"state": "better", "settled": 8}, "  better, settled at step 8"),
        ({"state": "hopeless", "settled": 8.0}, "  hopeless, settled at step 8"),
        ({"state": "open"}, "  not settled yet"),
        ({"state": "better"}, ""),
        ({"state": "\x1b[2J", "settled": 8}, ""),
        ("better", ""),
    ],
)
def test_an_evaluation_says_the_verdict_so_far(found: object, words: str) -> None:
    assert (
        RunLines(total=40).read(row(12, 3, evalLoss=2.3, verdictSoFar=found))
        == f"step 12/40  eval 2.300{words}"
    )


def test_an_answer_becomes_one_line() -> None:
    run = RunLines(total=40, step=20)
    told = {"step": 20, "number": 2, "prompt": "Q?", "answer": "One\n\x1b[31mtwo\u202e " + "x" * 500}
    line = run.read(JobEvent("sample.created", told))
    assert line == 'step 20, prompt 2 "Q?": One two ' + "x" * 500, "64 tokens are shown in full"
    line = run.read(
        JobEvent("sample.created", {**told, "step": 0, "answer": "y" * 9000, "prompt": "z" * 900})
    )
    assert line.startswith('base model, prompt 2 "zzz')
    assert line.endswith("y…")
    assert len(line) < 750
    assert run.read(JobEvent("sample.created", {"answer": ""})).endswith(": (empty answer)")
    assert (run.step, run.total) == (20, 40)


def test_the_pace_is_that_of_the_latest_steps() -> None:
    run = RunLines(total=100)
    for step in range(50):
        run.read(row(step, step * 10, loss=1))
    for step in range(50, 80):
        run.read(row(step, 500 + (step - 50) * 1, loss=1))
    assert run.pace() == pytest.approx(1)
    assert run.time_left() == pytest.approx(21)


def test_sleep_does_not_count_as_a_slow_step() -> None:
    run = RunLines(total=100)
    for step in range(10):
        run.read(row(step, step * 2, loss=1))
    woken = 9 * 2 + 40 * 60
    run.read(row(10, woken, loss=1))
    for step in range(11, 20):
        run.read(row(step, woken + (step - 10) * 2, loss=1))
    assert run.pace() == pytest.approx((18 * 2 + 20) / 19)  # it counts as ten steps
    left = run.time_left()
    assert left is not None
    assert left < 5 * 60


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row(1, 1)],
        [row(1, 1), row(2, 1)],
        [row(2, 1), row(1, 2)],
        [row(1, 5), row(2, 4)],
        [JobEvent("training.log", {"step": 1, "timestamp": "soon"}), JobEvent("training.log", {"step": 2})],
    ],
)
def test_without_data_there_is_no_pace(rows: list[JobEvent]) -> None:
    run = RunLines(total=10)
    lines = [run.read(event) for event in rows]
    assert run.pace() is None
    assert run.time_left() is None
    assert not [line for line in lines if "left" in line or "s/step" in line]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (JobEvent("training.started", {}), "training"),
        (JobEvent("training.started", {"metadata": "x"}), "training"),
        (JobEvent("training.log", {"step": None, "loss": None}), "step ?"),
        (JobEvent("training.log", {"step": float("inf"), "loss": float("nan")}), "step ?"),
        (JobEvent("training.log", {"step": True, "loss": "3"}), "step ?"),
        (JobEvent("training.log", {"step": -1, "loss": 10**400}), "step ?"),
        (JobEvent("training.log", {"step": 3, "loss": 1e300}), f"step 3  loss {1e300:.3f}"),
        (JobEvent("checkpoint.saved", {"step": "\x1b[2J4"}), "step 4: checkpoint saved"),
        (
            JobEvent("rollouts.created", {"step": 4, "rollouts": [{"reward": 0}, {"reward": 1.5}, 7]}),
            "step 4: 2 sampled answers, rewards 0 to 1.5",
        ),
        (JobEvent("rollouts.created", {"rollouts": "x"}), "step None: 0 sampled answers"),
        (
            JobEvent(
                "rollouts.created", {"step": 4, "rollouts": [{"reward": 1}, {"reward": 0, "failure": "x"}]}
            ),
            "step 4: 2 sampled answers, rewards 1 to 1, 1 failed",
        ),
        (JobEvent("checkpoint.removed", {"step": 4}), "step 4: checkpoint removed"),
        (JobEvent("training.completed", {}), "completed"),
        (JobEvent("training.failed", {}), "failed: no reason given"),
        (JobEvent("training.failed", {"error": "\x1b]0;x\x07line 3:\nbad\r\n"}), "failed: line 3:\nbad"),
        (JobEvent("training.cancelled", {"step": 13}), "cancelled at step 13"),
        (JobEvent("training.cancelled", {}), "cancelled"),
        (JobEvent("training.paused", {"step": 20, "reason": "asked"}), "paused at step 20"),
        (
            JobEvent("training.paused", {"step": 20, "reason": "disk", "message": "1 GB\nfree"}),
            "paused at step 20: 1 GB free",
        ),
        (JobEvent("training.resumed", {"step": 20, "message": ""}), "resumed at step 20"),
        (JobEvent("training.resumed", {"step": "\x1b[31m2"}), "resumed at step 2"),
        (JobEvent("training.message", {"message": "a\nb"}), "a b"),
        (JobEvent("training.message", {}), "None"),
        (JobEvent("x.y\x1b[1m", {"type": "x", "jobId": "j", "a": "é"}), 'x.y: {"a": "é"}'),
        (JobEvent("odd", "raw \x1b[31mtext"), "odd: raw text"),
    ],
)
def test_each_event_becomes_a_line(event: JobEvent, line: str) -> None:
    assert RunLines().read(event) == line


def test_long_events_are_truncated() -> None:
    for event in (
        JobEvent("training.failed", {"error": "x" * 10**6}),
        JobEvent("odd", {"a": "x" * 10**6}),
        JobEvent("o" * 10**6, "x" * 10**6),
        JobEvent("training.message", {"message": "x" * 10**6}),
        JobEvent("checkpoint.saved", {"step": "9" * 10**6}),
    ):
        assert len(RunLines().read(event)) < 4100


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (
            {"label": "Fetch", "done": 32e6, "total": 92.9e6, "unit": "B"},
            ("Fetch", 32e6, 92.9e6, "34 % of 92.9 MB"),
        ),
        ({"label": "Rows", "done": 5, "total": 10, "unit": "rows"}, ("Rows", 5, 10, "50 % of 10 rows")),
        ({"label": "Rows", "done": 50, "total": 10}, ("Rows", 50, 10, "100 % of 10")),
        ({"label": "Load", "done": 0, "total": None}, ("Load", 0, None, "")),
        ({"label": "Load", "done": 1500, "total": 0, "unit": "B"}, ("Load", 1500, None, "1.5 kB")),
        ({"done": "x"}, ("working", 0, None, "")),
    ],
)
def test_progress_events_become_a_label_and_figures(
    data: dict[str, object], shown: tuple[str, float, float | None, str]
) -> None:
    assert progress_of(data) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00"), (9.6, "0:10"), (130, "2:10"), (3599.6, "1:00:00"), (3730, "1:02:10"), (-5, "0:00")],
)
def test_seconds_are_formatted(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_the_queue_position_is_formatted() -> None:
    assert waiting_line(Waiting(2, ("support-bot", "job_1"))) == (
        "Waiting: 2nd in the queue, behind support-bot (job_1)"
    )
    assert waiting_line(Waiting(1, None)) == "Waiting: next in the queue"
    hostile = waiting_line(Waiting(1, ("\x1b[2Ja\nb", "\x07" + "x" * 200)))
    assert hostile.startswith("Waiting: next in the queue, behind a b (")
    assert len(hostile) < 160
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111, 1003)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th", "1,003rd",
    ]  # fmt: skip


def test_a_forecast_becomes_one_line() -> None:
    memory = {"peakBytes": 1_712_000_000, "freeBytes": 20_100_000_000}
    forecast: dict[str, object] = {"seconds": 110.4, "memory": memory, "cutRows": 0, "fits": True}
    assert forecast_line(forecast) == "Forecast: about 1:50, peak 1.7 GB of 20.1 GB free"
    short = {**forecast, "cutRows": 12, "fits": False, "fixes": [{"words": "a batch\x1b[2Jsize of 1"}, 3]}
    line = forecast_line(short)
    assert line
    assert "12 rows truncated, which does not fit; this would: a batch" in line
    assert "\x1b" not in line
    assert "which does not fit" in (forecast_line({**short, "fixes": 7}) or "")
    noted = forecast_line({**forecast, "notes": ["without the time of the judge"]})
    assert noted == "Forecast: about 1:50, without the time of the judge, peak 1.7 GB of 20.1 GB free"
    assert forecast_line({**forecast, "notes": 7}) == forecast_line(forecast)
    for streaming, words in (
        ({}, "peak 1.7 GB of 20.1 GB free with streaming"),
        ({"slower": 2.17}, "peak 1.7 GB of 20.1 GB free with streaming (2.2 times as long)"),
    ):
        assert forecast_line({**forecast, "streaming": streaming}) == f"Forecast: about 1:50, {words}"
    assert "free, spread over 2 GPUs" in (forecast_line({**forecast, "gpus": [{}, {}]}) or "")
    for nothing in (None, "soon", {}, {"seconds": "soon", "memory": [1]}, {"memory": {"peakBytes": 1e309}}):
        assert forecast_line(nothing) is None


def test_a_paused_queue_is_named() -> None:
    assert waiting_line(Waiting(2, ("a", "job_1"), held=True)) == (
        "Waiting: 2nd in the queue, behind a (job_1). The queue is paused: resume it in Studio"
    )
    job: Any = {"status": "queued", "queue": {"position": 1, "behind": None, "held": True}}
    assert waiting_of(job) == Waiting(1, None, held=True)


def test_a_resumed_run_continues_its_progress() -> None:
    run = RunLines(total=60)
    for event in (row(29, 29, loss=1.0), row(30, 30, loss=1.0), JobEvent("checkpoint.saved", {"step": 30})):
        run.read(event)
    run.read(JobEvent("training.failed", {"error": "broke"}))
    run.read(JobEvent("training.resumed", {"step": 20}))
    assert (run.ended, run.step, run.checkpoint, run.pace()) == (None, 20, None, None)
    run.read(row(21, 900, loss=1.0))
    run.read(row(22, 902, loss=1.0))
    assert run.pace() == 2


def test_the_time_left_counts_down_between_events() -> None:
    """After the last step too: phases are lines there, and the backend's estimate goes before the pace."""
    now = [0.0]
    run = RunLines(total=2, now=lambda: now[0])
    events = [
        JobEvent("training.phase", {"phase": "loading"}),
        JobEvent("training.phase", {"phase": "training"}),
        row(1, 0, loss=2.0),
        JobEvent("training.phase", {"phase": "evaluating", "secondsLeft": 50}),
        row(2, 5, loss=1.0, secondsLeft=40.4),
        JobEvent("training.phase", {"phase": "saving", "secondsLeft": 38.0}),
        JobEvent("training.phase", {"phase": "evaluating", "secondsLeft": 30.0}),
        JobEvent("training.phase", {"phase": "evaluating", "secondsLeft": 20.0}),
        JobEvent("training.phase", {"phase": "po\x1b[31mlishing"}),
    ]
    assert [run.read(event) for event in events] == [
        "loading the data and the model",
        "",
        "step 1/2  loss 2.000",
        "",
        "step 2/2  loss 1.000  5 s/step  0:40 left",
        "saving  0:38 left",
        "evaluating  0:30 left",
        "",
        "polishing  0:20 left",
    ]
    now[0] = 12
    assert run.time_left() == 8
    now[0] = 100
    assert run.time_left() == 0
    run.read(JobEvent("training.resumed", {"step": 1}))
    assert (run.time_left(), run.doing()) == (None, "step 1/2")


def test_the_time_left_is_read_from_the_job() -> None:
    phase = {"name": "evaluating", "secondsLeft": 130, "estimatedAt": "2026-01-01T00:00:00Z"}
    job: dict[str, object] = {"status": "running", "phase": phase}
    moment = 1767225600.0
    assert (time_left(job, moment + 5), phase_of(job)) == ("2:05 left", "evaluating")
    assert time_left(job, moment + 500) is None
    assert time_left(job, moment - 500) == "2:10 left", "another clock"
    for wrong in (
        {**job, "status": "paused"},
        {"status": "running"},
        {**job, "phase": {**phase, "estimatedAt": 3}},
    ):
        assert time_left(wrong, moment) is None


def test_the_measure_of_the_method_is_shown() -> None:
    run = RunLines()
    run.read(JobEvent("training.started", {"metadata": {"measure": {"name": "reward"}}}))
    assert (
        run.read(JobEvent("training.log", {"step": 1, "loss": 0.0, "reward": 0.25})) == "step 1  reward 0.250"
    )
    evaluated: dict[str, object] = {"step": 2, "evalLoss": -0.5, "evalReward": 0.5}
    assert run.read(JobEvent("training.log", evaluated)) == "step 2  eval reward 0.500"
    completed = JobEvent("training.completed", {"metrics": {"loss": -0.5, "steps": 2, "seconds": 9}})
    assert run.read(completed) == "completed: reward 0.250, eval reward 0.500, 2 steps in 0:09"
    run.read(JobEvent("training.started", {"metadata": {"measure": {"name": "\x1b[2J"}}}))
    assert run.read(JobEvent("training.log", {"step": 3, "loss": 1.0})) == "step 3  loss 1.000"


def test_a_verdict_that_comes_again_says_only_what_is_new() -> None:
    run, general = RunLines(), {"sentence": "General questions: the same."}
    evaluation = {"sentence": "Better at your task.", "general": general}
    first = run.read(JobEvent("evaluation.completed", {"evaluation": evaluation}))
    assert first == "Better at your task.\nGeneral questions: the same."
    answers = {"sentence": "Its 8 sampled answers have 20 tokens on average."}
    again = {**evaluation, "general": {**general, "answers": answers}}
    assert run.read(JobEvent("evaluation.completed", {"evaluation": again})) == answers["sentence"]


def test_the_choice_of_checkpoint_follows_the_verdict() -> None:
    choice = {"evaluations": 4, "chose": 10, "judged": 10, "sentence": "Early stopping chose it."}
    evaluation = {"sentence": "Better at your task.", "choice": choice, "heldOut": {"sentence": "Your task."}}
    assert verdict_lines(evaluation) == ["Better at your task.", "Early stopping chose it.", "Your task."]
    assert verdict_lines({**evaluation, "choice": "x"}) == ["Better at your task.", "Your task."]


def test_the_thinking_switch_is_in_the_verdict() -> None:
    evaluation = {"sentence": "Better at your task.", "thinking": {"sentence": "With thinking on, 8 of 8."}}
    assert verdict_lines(evaluation) == ["Better at your task.", "With thinking on, 8 of 8."]
    assert verdict_lines({**evaluation, "thinking": 5}) == ["Better at your task."]
