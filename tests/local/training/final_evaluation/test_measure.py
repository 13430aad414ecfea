"""The verdict of a true run is what transformers and PEFT compute by themselves, row by row."""

from __future__ import annotations

import json
import random
import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.provenance.statement import internal, read_statement
from arkor_dev.contract.shapes import Evaluation, EvaluationPart
from arkor_dev.local.evaluation import general
from arkor_dev.local.evaluation.end_marks import MOST
from arkor_dev.local.evaluation.general import fewer
from arkor_dev.local.evaluation.minimums import ROWS
from tests.local import forking_backend
from tests.local.conftest import CONFIG, SAMPLED
from tests.local.harness import until
from tests.local.tiny_model import PHRASE, QUESTIONS, chats, write_jsonl
from tests.local.training.samples.test_sampler import greedy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.local.evaluation.results import Scores
    from tests.local.harness import Backend, Frame

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(300),  # several trainings, and a busy machine
    pytest.mark.usefixtures("forked_workers"),
]
HELD_OUT = 12
FEWEST, WRITTEN = forking_backend.QUESTIONS, forking_backend.ANSWERS[0]
"""So many general questions are asked of so short a run, and so many of them are answered."""
MARKED = min(FEWEST, MOST)
ANSWERED: dict[str, Any] = {
    **SAMPLED,
    "maxSteps": 12,
    "evalSteps": 4,
    "saveSteps": 4,
    "evalDatasetSource": {"type": "file", "path": "data/held-out.jsonl"},
}
JUDGED: dict[str, Any] = {**ANSWERED, "samples": "off"}
"""The same without answers, which take longer than all else: for what is not about them."""


def held_out() -> list[dict[str, Any]]:
    rows = chats(HELD_OUT)
    for number, row in enumerate(rows):
        row["messages"][0]["content"] = f"{number}: {QUESTIONS[-number]}"
    return rows


@pytest.fixture(scope="module")
def project_with_held_out(shared_project: Path) -> Path:
    write_jsonl(shared_project / "data" / "held-out.jsonl", held_out())
    write_jsonl(shared_project / "data" / "few-held-out.jsonl", held_out()[:6])
    return shared_project


def judged(backend: Backend, config: dict[str, Any]) -> tuple[str, list[Frame]]:
    job = backend.submit(config, "judged")
    return job, [frame for frame in backend.events(job) if frame.event != "ping"]


@pytest.fixture(scope="module")
def usual(shared: Backend, project_with_held_out: Path) -> tuple[str, list[Frame]]:
    """Train a usual adapter once for all the tests here."""
    del project_with_held_out
    return judged(shared, ANSWERED)


def evaluation_in(frames: list[Frame]) -> dict[str, Any]:
    return dict(evaluations_in(frames)[-1])


def evaluations_in(frames: list[Frame]) -> list[dict[str, Any]]:
    return [frame.json["evaluation"] for frame in frames if frame.event == "evaluation.completed"]


def recomputed(
    model: Path, adapter: Path | None, rows: list[dict[str, Any]], strength: float = 1
) -> list[float]:
    """Each row's mean loss a token of its answer, by the libraries alone, one row at a time."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    computing: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    if adapter:
        computing = PeftModel.from_pretrained(computing, str(adapter))
        for layer in computing.modules():
            if hasattr(layer, "scale_layer"):
                layer.scale_layer(strength)
    computing.eval()
    losses = []
    for row in rows:
        question, answer = row["messages"]
        asked = tokenizer.apply_chat_template([question], tokenize=False, add_generation_prompt=True)
        ids = tokenizer(asked, add_special_tokens=False)["input_ids"]
        said = tokenizer(f"{answer['content']}<|im_end|>", add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = computing(input_ids=torch.tensor([ids + said])).logits[0, len(ids) - 1 : -1]
            losses.append(float(torch.nn.functional.cross_entropy(logits.float(), torch.tensor(said))))
    return losses


@pytest.mark.ci
@pytest.mark.numeric
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    "changes",
    [
        {"initLoraWeights": "pissa", "learningRate": 1e-3},
        {"useDora": True, "loraDropout": 0.2, "neftuneNoiseAlpha": 5},
        {"fullFineTuning": True, "learningRate": 1e-3},
    ],
    ids=["pissa", "dora with noise", "the whole model"],
)
def test_row_losses_of_other_adapters_and_full_models_are_exact(
    shared: Backend, project_with_held_out: Path, shared_data: Path, tiny: Path, changes: dict[str, Any]
) -> None:
    del project_with_held_out
    whole = "fullFineTuning" in changes
    job, frames = judged(shared, {**(ANSWERED if whole else JUDGED), "maxSteps": 4, **changes})
    check(shared_data, job, evaluation_in(frames), tiny, whole=whole)
    # A whole model and its base answer as two models, an adapter and its base as one.
    assert ("answers" in evaluation_in(frames)["general"]) == whole


@pytest.mark.numeric
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_row_losses_equal_transformers_and_peft(
    usual: tuple[str, list[Frame]], shared_data: Path, tiny: Path
) -> None:
    job, frames = usual
    check(shared_data, job, evaluation_in(frames), tiny, whole=False)


def check(data: Path, job: str, evaluation: dict[str, Any], tiny: Path, *, whole: bool) -> None:
    """Hold what was kept of a job's verdict to the libraries' own figures."""
    folder = data / "jobs" / job
    kept = json.loads((folder / "evaluation" / "final.json").read_text())
    assert kept["evaluation"] == evaluation
    base = recomputed(tiny, None, held_out())
    final = folder / "final"
    adapter = recomputed(final if whole else tiny, None if whole else final, held_out())
    assert [row["base"] for row in kept["rows"]] == pytest.approx(base, abs=1e-4)
    assert [row["adapter"] for row in kept["rows"]] == pytest.approx(adapter, abs=1e-4)
    part = evaluation["heldOut"]
    assert part["base"] == pytest.approx(sum(base) / HELD_OUT, abs=1e-4)
    assert part["adapter"] == pytest.approx(sum(adapter) / HELD_OUT, abs=1e-4)
    assert part["difference"]["mean"] == pytest.approx(part["base"] - part["adapter"], abs=2e-5)
    assert kept["rows"][3]["question"] == f"3: {QUESTIONS[-3]}"
    assert kept["rows"][3]["wanted"] == PHRASE
    assert [row["group"] for row in kept["rows"]] == list(range(HELD_OUT))


def test_a_run_ends_with_a_verdict_on_held_out_rows(shared: Backend, usual: tuple[str, list[Frame]]) -> None:
    job, frames = usual
    evaluation = evaluation_in(frames)
    aside = ("sample.created", "training.phase", "model.progress")
    told = [frame.event for frame in frames if frame.event not in aside]
    assert told[-4:] == ["evaluation.completed"] * 2 + ["training.completed", "end"]
    first, last = evaluations_in(frames)
    assert "answers" not in first["general"], "the verdict does not wait for them"
    assert last["general"]["answers"]["count"] > 0
    assert (first["verdict"], first["heldOut"]) == (last["verdict"], last["heldOut"])
    task, beyond = evaluation["heldOut"]["verdict"], evaluation["general"]["verdict"]
    assert (task, evaluation["verdict"]) == ("better", "mixed" if beyond == "worse" else "better")
    assert evaluation["sentence"].startswith(f"Better at your task (only {HELD_OUT} rows)")
    assert f"on {HELD_OUT} held-out rows; 99 % interval of the" in evaluation["heldOut"]["sentence"]
    # Rounding every layer to bfloat16 moves the mean of so few rows by about a hundredth.
    assert 0 < evaluation["noiseFloor"] < 0.03
    assert evaluation["margin"] == max(0.01, evaluation["noiseFloor"])
    assert evaluation["heldOut"]["difference"]["low"] > evaluation["margin"]
    # A model of random weights that learns one sentence forgets nothing, since it knew nothing.
    # So short a run is asked as few questions as can be.
    assert (evaluation["general"]["rows"], evaluation["general"]["of"]) == (FEWEST, 64)
    assert f"on {FEWEST} of 64 questions" in evaluation["general"]["sentence"]
    assert evaluation["split"] == {"rows": HELD_OUT, "groups": HELD_OUT, "sentence": ""}
    assert evaluation["bestStep"] in (4, 8, 12)
    assert evaluation["bestSentence"]
    assert set(evaluation) <= set(Evaluation.__annotations__)
    for part in (evaluation["heldOut"], evaluation["general"]):
        assert set(part) <= set(EvaluationPart.__annotations__)
    labels = [frame.json for frame in frames if frame.event == "model.progress"]
    last = [event for event in labels if event["label"] == "Evaluating"][-1]
    # The base may be known from a run before.
    assert last["done"] == last["total"]
    assert last["total"] in (
        FEWEST + MARKED + WRITTEN + a + b + c
        for a in (0, FEWEST + MARKED)
        for b in (0, 2 * HELD_OUT)
        for c in (0, WRITTEN)
    )
    assert shared.job(job)["evaluation"] == evaluation


def test_answers_that_fail_leave_the_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from arkor_dev.local.evaluation.stage import Judged
    from arkor_dev.local.training.final_evaluation import measure

    class FailingStage:
        known: object = None

        def prepare(self) -> None: ...

        def run(self, adapter: object, base: object, report: Callable[[Judged], None]) -> Judged:
            evaluation: Evaluation = {"verdict": "better", "sentence": "Better.", "margin": 0.01}
            scores: Scores = {"rows": "", "tokens": "", "groups": [], "adapter": [], "margin": 0.01}
            report(Judged(evaluation, [], scores, []))
            raise RuntimeError("no memory for a token")

    told: list[Any] = []
    closed: list[bool] = []
    preparation: Any = SimpleNamespace(data=tmp_path, job_id="job", emit=told.append)
    run: Any = SimpleNamespace(
        held_out=[1],
        kept_step=4,
        plan=SimpleNamespace(adapter=True),
        initial_weights={},
        phases=SimpleNamespace(enter=lambda _: None),
        loss=SimpleNamespace(close=lambda: closed.append(True)),
    )
    monkeypatch.setattr(measure, "stage_of", lambda *_: FailingStage())
    monkeypatch.setattr(measure, "_set_choice", lambda *_: None)
    monkeypatch.setattr(measure, "_set_share", lambda *_: None)
    monkeypatch.setattr(measure, "_add_best", lambda *_: None)
    monkeypatch.setattr(measure, "rewrite_card", lambda *_: None)
    judging = measure.FinalEvaluation(preparation, lambda: False)
    judging._run = run
    assert judging.judge()
    assert [event["type"] for event in told] == ["evaluation.completed", "training.message"]
    assert told[1]["message"] == "General questions could not be answered: no memory for a token"
    kept = json.loads((tmp_path / "jobs" / "job" / "evaluation" / "final.json").read_text())
    assert kept["evaluation"]["verdict"] == "better"
    assert closed == [True]


def test_the_base_is_measured_once(
    shared: Backend, usual: tuple[str, list[Frame]], shared_data: Path
) -> None:
    """Also by a run with another rate, and with a checkpoint later; not by one in another number format."""
    _, first = usual
    job, second = judged(shared, {**ANSWERED, "maxSteps": 4, "learningRate": 5e-3})
    assert rows_measured(second) == FEWEST + MARKED + WRITTEN
    before, after = evaluation_in(first), evaluation_in(second)
    for name in ("heldOut", "general"):
        assert before[name]["base"] == after[name]["base"]
        assert before[name]["adapter"] != after[name]["adapter"]
    entries = json.loads((shared_data / "base-losses.json").read_text())
    assert shared.call("POST", f"/v1/jobs/{job}/evaluate", {"step": 4}).status == 200
    until(lambda: "evaluating" not in shared.job(job), 60)
    found = shared.call("GET", f"/v1/jobs/{job}/evaluation?step=4").json
    assert found["evaluation"]["heldOut"]["base"] == before["heldOut"]["base"]
    assert found["evaluation"]["general"]["rows"] == FEWEST
    assert found["evaluation"]["general"]["answers"]["base"] == before["general"]["answers"]["base"]
    assert json.loads((shared_data / "base-losses.json").read_text()) == entries
    if bfloat16_computes():
        _, other = judged(shared, {**ANSWERED, "numberFormat": "bfloat16", "maxSteps": 1})
        # The evaluation of the last step has measured the held-out rows of both.
        assert rows_measured(other) == 2 * (FEWEST + MARKED + WRITTEN)
        assert json.loads((shared_data / "base-losses.json").read_text()) != entries


@pytest.mark.ci
def test_two_adapters_are_compared_on_another_file(
    shared: Backend, usual: tuple[str, list[Frame]], shared_project: Path
) -> None:
    one, frames = usual
    other, _ = judged(shared, {**JUDGED, "maxSteps": 4, "learningRate": 1e-3})
    rows = [{"prompt": f"Now: {question}", "completion": PHRASE} for question in QUESTIONS[:10]]
    write_jsonl(shared_project / "data" / "now.jsonl", rows)
    asked = "data=data%2Fnow.jsonl"
    for job in (one, other):
        sent = {"data": "data/now.jsonl"}
        answer = shared.call("POST", f"/v1/jobs/{job}/evaluate", sent)
        assert answer.json["job"]["evaluating"]["data"] == "data/now.jsonl"
        until(lambda job=job: "evaluating" not in shared.job(job), 60)  # type: ignore[misc]
    found = shared.call("GET", f"/v1/jobs/{one}/evaluation?{asked}").json
    told = found["evaluation"]
    assert set(found) == {"evaluation", "rows"}
    assert (told["data"], told["heldOut"]["rows"], "general" in told, "bestStep" in told) == (
        "data/now.jsonl",
        10,
        False,
        False,
    )
    assert told["sentence"] == "Better on data/now.jsonl (only 10 rows)."
    assert told["heldOut"]["sentence"].startswith("data/now.jsonl: better, loss ")
    assert [row["question"] for row in found["rows"]] == [row["prompt"] for row in rows]
    assert shared.job(one)["evaluation"] == evaluation_in(frames), "the job's own verdict is on its own rows"
    beside = shared.call("GET", f"/v1/jobs/{one}/evaluation?{asked}&against={other}").json["comparison"]
    theirs = shared.call("GET", f"/v1/jobs/{other}/evaluation?{asked}").json
    gains = [b["adapter"] - a["adapter"] for a, b in zip(found["rows"], theirs["rows"], strict=True)]
    assert beside["difference"]["mean"] == pytest.approx(sum(gains) / 10, abs=2e-5)
    assert beside["verdict"] == "better"
    assert beside["sentence"].startswith("Better than judged: loss ")
    # Their own held-out rows are the same ones too; those of a file that grew are not.
    assert shared.call("GET", f"/v1/jobs/{one}/evaluation?against={other}").status == 200
    write_jsonl(shared_project / "data" / "now.jsonl", rows[:9])
    shared.call("POST", f"/v1/jobs/{other}/evaluate", {"data": "data/now.jsonl"})
    until(lambda: "evaluating" not in shared.job(other), 60)
    refused = shared.call("GET", f"/v1/jobs/{one}/evaluation?{asked}&against={other}")
    assert (refused.status, "different rows" in refused.json["error"]) == (409, True)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_answers_to_general_questions_equal_transformers(
    shared: Backend, usual: tuple[str, list[Frame]], tiny: Path, shared_data: Path
) -> None:
    job, frames = usual
    told = evaluation_in(frames)["general"]["answers"]
    # So short a run has few and short answers.
    assert (told["count"], told["longest"]) == forking_backend.ANSWERS
    found = shared.call("GET", f"/v1/jobs/{job}/evaluation").json["answers"]
    assert len(found) == told["count"]
    known = {row.messages[0]["content"] for row in general.questions()}
    for name, adapter in (("base", None), ("adapter", shared_data / "jobs" / job / "final")):
        rates = told[name]
        assert 0 < rates["tokens"] <= told["longest"]
        assert all(0 <= rates[key] <= told["count"] for key in ("truncated", "repeating", "refusing"))
        for each in found:
            assert each["question"] in known
            # Of a model of random weights two tokens may be all but alike: only the beginning is sure to be.
            begins = greedy(tiny, adapter, each["question"], 2).rstrip("\ufffd")
            assert each[name].startswith(begins), (name, each, begins)
    assert told["sentence"].startswith(f"Its {told['count']} sampled answers have")
    stopping = evaluation_in(frames)["stopping"]
    assert stopping["ended"] == stopping["rows"] > 0
    assert "cause" not in stopping
    assert 0 < stopping["base"] < 1
    assert 0 < stopping["adapter"] < 1


@pytest.mark.parametrize("changes", [{"samples": "off"}, {"dryRun": True}], ids=["no samples", "dry"])
def test_without_samples_no_general_question_is_answered(
    shared: Backend, project_with_held_out: Path, changes: dict[str, Any]
) -> None:
    del project_with_held_out
    # At this rate an adapter does next to nothing: a difference that is there, and does not matter.
    job, frames = judged(shared, {**ANSWERED, "maxSteps": 2, "learningRate": 1e-6, **changes})
    evaluation = evaluation_in(frames)
    told = evaluation["general"]
    assert told["sentence"]
    if not changes.get("dryRun"):
        assert evaluation["heldOut"]["difference"]["mean"] != 0
        assert evaluation["sentence"] == (
            "No difference that matters at your task (only 12 rows), and none in general."
        )
    assert "answers" not in told
    assert "answers" not in shared.call("GET", f"/v1/jobs/{job}/evaluation").json


OWN: list[dict[str, Any]] = [
    {"name": "phrases", "path": "data/held-out.jsonl", "metric": "exact_match"},
    {"name": "parrots", "path": "data/few-held-out.jsonl", "metric": "regex", "pattern": "^Ahoy, the parrot"},
    {"name": "losses", "path": "data/held-out.jsonl"},
    {"name": "lengths", "path": "data/few-held-out.jsonl", "metric": "checks:length"},
    {"name": "gone", "path": "data/few-held-out.jsonl", "metric": "checks:gone"},
]


@pytest.mark.timeout(400)  # some hundred answers, twice
def test_evaluation_sets_are_answered_and_scored(shared: Backend, project_with_held_out: Path) -> None:
    (project_with_held_out / "checks.py").write_text(
        "def length(question, answer, wanted):\n    return len(answer)\n"
    )
    job, frames = judged(
        shared, {**JUDGED, "maxSteps": 30, "evalSteps": 15, "saveSteps": 15, "evaluations": OWN}
    )
    evaluation = evaluation_in(frames)
    phrases, parrots, losses, lengths = evaluation["sets"]
    # The adapter says the phrase that it was taught, and the base does not.
    for part, rows in ((phrases, HELD_OUT), (parrots, 6)):
        assert (part["rows"], part["base"]) == (rows, 0), part
        assert part["adapter"] >= 0.75, part
    assert phrases["verdict"] == "better"
    right = round(HELD_OUT * phrases["adapter"])
    assert phrases["sentence"].startswith(
        f"phrases: better, {right} of 12 answers equal to the wanted answer vs. 0 for the base"
    )
    for key in ("rows", "base", "adapter", "difference", "verdict"):
        assert losses[key] == pytest.approx(evaluation["heldOut"][key], abs=1e-4), key
    assert lengths["adapter"] == pytest.approx(len(PHRASE), rel=0.5)
    for part in evaluation["sets"]:
        assert set(part) <= set(EvaluationPart.__annotations__)
    said = [frame.json["message"] for frame in frames if frame.event == "training.message"]
    assert (
        "The evaluation gone could not be made: metric checks:gone: checks.py defines no function gone"
        in said[-1]
    )
    # The checkpoints can be measured on them as well.
    shared.call("POST", f"/v1/jobs/{job}/evaluate", {"step": 15})
    until(lambda: "evaluating" not in shared.job(job), 60)
    found = shared.call("GET", f"/v1/jobs/{job}/evaluation?step=15").json["evaluation"]
    assert [part["name"] for part in found["sets"]] == ["phrases", "parrots", "losses", "lengths"]


def bfloat16_computes() -> bool:
    import torch

    try:
        torch.ones(2, 2, dtype=torch.bfloat16) @ torch.ones(2, 2, dtype=torch.bfloat16)
    except RuntimeError:
        return False
    return True


def rows_measured(frames: list[Frame]) -> int:
    told = [frame.json for frame in frames if frame.event == "model.progress"]
    return int([event for event in told if event["label"] == "Evaluating"][-1]["total"])


@pytest.fixture
def overfitting(shared_project: Path) -> dict[str, Any]:
    """Few rows with answers that nobody could guess, learned for long: others are guessed worse and worse."""
    chance = random.Random(5)

    def rows(first: int, count: int) -> list[dict[str, Any]]:
        answers = ("".join(chance.choice("abdeghiklmnoprstu") for _ in range(16)) for _ in range(count))
        return [
            {"prompt": f"{first + number}: {QUESTIONS[number]}", "completion": f"Ahoy, {answer}"}
            for number, answer in enumerate(answers)
        ]

    write_jsonl(shared_project / "data" / "few.jsonl", rows(0, 8))
    write_jsonl(shared_project / "data" / "others.jsonl", rows(100, 20))
    return {
        **CONFIG,
        "datasetSource": {"type": "file", "path": "data/few.jsonl"},
        "evalDatasetSource": {"type": "file", "path": "data/others.jsonl"},
        "maxSteps": 60,
        "lrSchedulerType": "constant",
        "evalSteps": 10,
        "saveSteps": 10,
        "saveTotalLimit": 2,
    }


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_early_stopping_rows_do_not_judge_the_adapter(
    shared: Backend, overfitting: dict[str, Any], shared_data: Path, tiny: Path
) -> None:
    job, frames = judged(shared, {**overfitting, "earlyStoppingPatience": 1})
    steps = shared.job(job)["metrics"]["step"]
    assert steps < 60, "it did not stop early"
    evaluation = evaluation_in(frames)
    assert evaluation["choice"] == {
        "evaluations": steps // 10,
        "chose": 10,
        "judged": 10,
        "sentence": f"Early stopping chose this adapter from {steps // 10} evaluations, by its loss on 10 of "
        "the 20 held-out rows. Only the other 10 judge it.",
    }
    assert "bestSentence" not in evaluation, "that no evaluation was better than the best is no finding"
    rows = shared.call("GET", f"/v1/jobs/{job}/evaluation").json["rows"]
    judges = [row["adapter"] for row in rows if not row.get("chose")]
    assert (len(rows), len(judges), evaluation["heldOut"]["rows"]) == (20, 10, 10)
    assert evaluation["heldOut"]["adapter"] == pytest.approx(sum(judges) / 10, abs=1e-4)
    history = json.loads((shared_data / "jobs" / job / "evaluation" / "history.json").read_text())
    choosing = history["choosing"]
    assert evaluation["bestStep"] == history["final"] == int(min(choosing, key=choosing.__getitem__))
    # A checkpoint that was evaluated may have been chosen by that, so the same rows judge it.
    assert shared.call("POST", f"/v1/jobs/{job}/evaluate", {"step": steps}).status == 200
    until(lambda: "evaluating" not in shared.job(job), 60)
    checkpoint = shared.call("GET", f"/v1/jobs/{job}/evaluation?step={steps}").json["evaluation"]
    assert (checkpoint["choice"]["judged"], checkpoint["heldOut"]["rows"]) == (10, 10)
    assert checkpoint["heldOut"]["base"] == evaluation["heldOut"]["base"]
    beside = shared.call("GET", f"/v1/jobs/{job}/evaluation?against={job}&againstStep={steps}").json
    assert beside["comparison"]["rows"] == 10
    assert shared.call("POST", f"/v1/jobs/{job}/evaluate", {"strengths": True}).status == 200
    until(lambda: "evaluating" not in shared.job(job), 60)
    half = shared.job(job)["evaluation"]["strengths"][1]
    messages = [
        [{"role": "user", "content": row["question"]}, {"role": "assistant", "content": row["wanted"]}]
        for row in rows
        if not row.get("chose")
    ]
    losses = recomputed(
        tiny, shared_data / "jobs" / job / "final", [{"messages": each} for each in messages], 0.5
    )
    assert half["heldOut"] == pytest.approx(sum(losses) / 10, abs=1e-3)


def verdicts_so_far(frames: list[Frame]) -> dict[int, dict[str, Any]]:
    logged = [frame.json for frame in frames if frame.event == "training.log"]
    return {row["step"]: row["verdictSoFar"] for row in logged if "verdictSoFar" in row}


def test_each_evaluation_has_the_verdict_so_far(usual: tuple[str, list[Frame]]) -> None:
    _, frames = usual
    so_far = verdicts_so_far(frames)
    assert [(step, each["evaluation"], each["planned"]) for step, each in so_far.items()] == [
        (4, 1, 3),
        (8, 2, 3),
        (12, 3, 3),
    ]
    last, final = so_far[12], evaluation_in(frames)["heldOut"]
    assert (last["state"], final["verdict"], final["confidence"]) == ("better", "better", 99)
    assert last["low"] < final["difference"]["low"] < final["difference"]["high"] < last["high"], (
        "nothing could end the run, so its verdict has all of the error"
    )
    assert "watched" not in evaluation_in(frames)


def test_a_checkpoint_is_judged_by_all_rows_with_the_interval_of_its_step(
    shared: Backend, usual: tuple[str, list[Frame]]
) -> None:
    job, frames = usual
    assert shared.call("POST", f"/v1/jobs/{job}/evaluate", {"step": 8}).status == 200
    until(lambda: "evaluating" not in shared.job(job), 60)
    checkpoint = shared.call("GET", f"/v1/jobs/{job}/evaluation?step=8").json["evaluation"]
    assert "choice" not in checkpoint
    assert checkpoint["watched"]["number"] == 2
    assert checkpoint["heldOut"]["rows"] == HELD_OUT
    so_far, difference = verdicts_so_far(frames)[8], checkpoint["heldOut"]["difference"]
    assert (difference["low"], difference["high"]) == pytest.approx((so_far["low"], so_far["high"]), abs=1e-3)


def test_a_run_ends_when_its_verdict_is_settled(
    shared: Backend, project_with_held_out: Path, usual: tuple[str, list[Frame]]
) -> None:
    del project_with_held_out
    job, frames = judged(shared, {**JUDGED, "stopWhen": "settled"})
    before, so_far = verdicts_so_far(usual[1]), verdicts_so_far(frames)
    (end,) = (step for step, each in so_far.items() if each["state"] != "open")
    assert so_far == {step: each for step, each in before.items() if step <= end}, (
        "up to there it is the same run"
    )
    assert end < 12
    assert shared.job(job)["metrics"]["step"] == end
    messages = [frame.json["message"] for frame in frames if frame.event == "training.message"]
    assert f"Stopped after step {end}, as the verdict is settled (stop_when)" in messages
    evaluation = evaluation_in(frames)
    assert evaluation["watched"] == {
        "number": end // 4,
        "planned": 3,
        "sentence": f"The run could end at each of 3 planned evaluations, and it is number {end // 4}. The "
        "interval on the held-out rows is one of a sequence, which allows for that.",
    }
    difference = evaluation["heldOut"]["difference"]
    assert (difference["low"], difference["high"]) == (so_far[end]["low"], so_far[end]["high"])


def test_overfitting_is_dated_and_the_best_checkpoint_kept(
    shared: Backend, overfitting: dict[str, Any], shared_data: Path
) -> None:
    job, frames = judged(shared, overfitting)
    evaluation = evaluation_in(frames)
    best = evaluation["bestStep"]
    assert 0 < best < 50, evaluation
    assert (evaluation["bestVerdict"], evaluation["bestKept"]) == ("better", True), evaluation
    assert (
        f"The run overfitted: from step {best} on the held-out loss rose from" in evaluation["bestSentence"]
    )
    done = next(frame.json for frame in frames if frame.event == "training.completed")
    final, kept = done["artifacts"]
    assert final["name"] == "final"
    assert (kept["kind"], kept["name"], kept["step"]) == ("checkpoint", "best", best)
    folder = shared_data / "jobs" / job / "checkpoints"
    assert kept["path"] == str(folder.resolve() / str(best))
    assert sorted(map(int, (path.name for path in folder.iterdir()))) == [best, 50, 60]
    removed = [frame.json["step"] for frame in frames if frame.event == "checkpoint.removed"]
    assert best not in removed
    # Its files are those of the checkpoint: nothing is there twice.
    size = sum(path.stat().st_size for path in (folder / str(best)).rglob("*") if path.is_file())
    assert kept["bytes"] == size
    assert shared.say(QUESTIONS[0], adapter={"kind": "checkpoint", "jobId": job, "step": best})


ANSWERS = [f"{PHRASE.split()[0]} {question}" for question in QUESTIONS[::5]]


def shuffled(first: int, count: int, chance: random.Random) -> list[dict[str, Any]]:
    """Questions that are all different, each with an answer that has nothing to do with it."""
    numbers = range(first, first + count)
    return [
        {"prompt": f"{number}: {QUESTIONS[number % 36]}", "completion": chance.choice(ANSWERS)}
        for number in numbers
    ]


@pytest.mark.ci
def test_shuffled_answers_are_not_called_better(
    shared: Backend, shared_project: Path, shared_data: Path
) -> None:
    """The base knows which answers there are: of which question gets which there is nothing to learn."""
    chance = random.Random(3)
    for name, rows in {
        "any": shuffled(0, 200, chance),
        "shuffled": shuffled(300, 32, chance),
        "held-out-shuffled": shuffled(400, 24, chance),
    }.items():
        write_jsonl(shared_project / "data" / f"{name}.jsonl", rows)
    common = {**CONFIG, "saveSteps": 0, "datasetSource": {"type": "file", "path": "data/any.jsonl"}}
    knowing, frames = judged(
        shared,
        {
            **common,
            "fullFineTuning": True,
            "learningRate": 2e-3,
            "maxSteps": 80,
            "batchSize": 8,
            "datasetSplit": 0,
        },
    )
    assert [frame.event for frame in frames][-2] == "training.completed"
    shutil.copytree(shared_data / "jobs" / knowing / "final", shared_project / "models" / "knowing")
    _, frames = judged(
        shared,
        {
            **common,
            "model": "./models/knowing",
            "datasetSource": {"type": "file", "path": "data/shuffled.jsonl"},
            "evalDatasetSource": {"type": "file", "path": "data/held-out-shuffled.jsonl"},
            "maxSteps": 30,
        },
    )
    evaluation = evaluation_in(frames)
    assert evaluation["heldOut"]["verdict"] in ("unclear", "same", "worse"), evaluation
    assert not evaluation["sentence"].startswith("Better")
    losses = [
        frame.json["loss"] for frame in frames if frame.event == "training.log" and "loss" in frame.json
    ]
    assert min(losses[-5:]) < 0.8 * losses[0], "it has learned its own rows"


def test_without_held_out_rows_there_is_no_verdict(shared: Backend) -> None:
    job, frames = judged(shared, {**CONFIG, "maxSteps": 2, "datasetSplit": 0})
    assert "evaluation.completed" not in [frame.event for frame in frames]
    assert "evaluation" not in shared.job(job)
    assert shared.job(job)["status"] == "completed"
    refused = shared.call("POST", f"/v1/jobs/{job}/evaluate", {"strengths": True})
    assert (refused.status, "evaluate it first" in refused.json["error"]) == (409, True)


@pytest.mark.numeric
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_verdict_is_that_of_the_adapter_turned_down_by_max_harm(
    shared: Backend, project_with_held_out: Path, shared_data: Path, tiny: Path
) -> None:
    del project_with_held_out
    job, frames = judged(shared, {**JUDGED, "maxHarm": 0.05})
    evaluation = evaluation_in(frames)
    budget = evaluation["budget"]
    assert budget["kept"]
    assert 0.1 <= budget["strength"] < 1
    assert budget["cost"]["mean"] > 0
    assert "step" not in budget  # too few rows are held out to choose one and judge it
    # All questions choose the strength, and their interval allows for every one that could have been chosen.
    assert budget["questions"] == evaluation["general"]["rows"] == len(general.questions())
    assert evaluation["general"]["confidence"] == 99
    assert evaluation["general"]["difference"]["mean"] == pytest.approx(-budget["harm"], abs=1e-3)
    assert -evaluation["general"]["difference"]["low"] > budget["most"]
    losses = recomputed(tiny, shared_data / "jobs" / job / "final", held_out())
    assert evaluation["heldOut"]["adapter"] == pytest.approx(sum(losses) / len(losses), abs=1e-3)
    assert not {"bestStep", "bestSentence"} & evaluation.keys()  # other evaluations had full strength
    # Whoever gets the adapter can read which part of what was trained it is; checkpoints are all of it.
    told = [
        internal(read_statement(shared_data / "jobs" / job / folder)).get("budget")
        for folder in ("final", f"checkpoints/{JUDGED['maxSteps']}")
    ]
    assert told == [{name: budget[name] for name in ("maxHarm", "kept", "strength", "harm", "most")}, None]
    # It is known without a verdict, too: the run may have been cancelled before it.
    (shared_data / "jobs" / job / "evaluation" / "final.json").unlink()
    assert shared.call("POST", f"/v1/jobs/{job}/evaluate", {}).status == 200
    until(lambda: "evaluating" not in shared.job(job), 60)
    again = shared.job(job)["evaluation"]
    assert (again["budget"], again["general"]) == (budget, evaluation["general"])
    assert not {"bestStep", "bestSentence"} & again.keys()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_rows_that_chose_the_step_of_a_forgetting_budget_do_not_judge_it(
    shared: Backend, project_with_held_out: Path, shared_data: Path
) -> None:
    rows = chats(2 * ROWS)
    for number, row in enumerate(rows):
        row["messages"][0]["content"] = f"{number}: {QUESTIONS[-number % len(QUESTIONS)]}"
    write_jsonl(project_with_held_out / "data" / "more-held-out.jsonl", rows)
    source = {"type": "file", "path": "data/more-held-out.jsonl"}
    job, frames = judged(shared, {**JUDGED, "evalDatasetSource": source, "maxHarm": 0.05})
    evaluation = evaluation_in(frames)
    budget, choice = evaluation["budget"], evaluation["choice"]
    assert (budget["step"] in (4, 8, 12), budget["steps"]) == (True, 3)
    assert (choice["evaluations"], choice["chose"], choice["judged"]) == (3, ROWS, ROWS)
    assert choice["sentence"].startswith("The step of this adapter was chosen from 3, by its loss on 8 of")
    assert evaluation["heldOut"]["rows"] == ROWS
    assert not {"bestStep", "bestSentence"} & evaluation.keys()
    told = internal(read_statement(shared_data / "jobs" / job / "final"))
    assert told["step"] == budget["step"]
    assert shared.call("POST", f"/v1/jobs/{job}/evaluate", {}).status == 200
    until(lambda: "evaluating" not in shared.job(job), 60)
    again = shared.job(job)["evaluation"]
    assert (again["budget"], again["choice"], again["heldOut"]) == (budget, choice, evaluation["heldOut"])


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_an_adapter_is_measured_at_several_strengths(
    shared: Backend, usual: tuple[str, list[Frame]], shared_data: Path, tiny: Path
) -> None:
    """It adds them to the job's verdict: the last test that reads it as it was."""
    job, frames = usual
    path = f"/v1/jobs/{job}/evaluate"
    refused = shared.call("POST", path, {"strengths": True, "step": 4})
    assert (refused.status, "leave out step and data" in refused.json["error"]) == (400, True)
    assert shared.call("POST", path, {"strengths": True}).status == 200
    until(lambda: "evaluating" not in shared.job(job), 60)
    evaluation = shared.job(job)["evaluation"]
    assert shared.call("GET", f"/v1/jobs/{job}/evaluation").json["evaluation"] == evaluation
    points = evaluation.pop("strengths")
    assert evaluation == evaluation_in(frames)
    assert [point["strength"] for point in points] == [0.25, 0.5, 0.75]
    asked = [{"messages": row.messages} for row in fewer(general.questions(), evaluation["general"]["rows"])]
    final = shared_data / "jobs" / job / "final"
    for name, rows in (("heldOut", held_out()), ("general", asked)):
        losses = recomputed(tiny, final, rows, 0.5)
        assert points[1][name] == pytest.approx(sum(losses) / len(losses), abs=1e-3)
