"""The verdict of a true run is what transformers and PEFT compute by themselves, row by row."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.run_shapes import Evaluation, EvaluationPart
from tests.local.conftest import CONFIG
from tests.local.tiny_model import PHRASE, QUESTIONS, chats, write_jsonl

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.harness import Backend, Frame

pytestmark = pytest.mark.engine
HELD_OUT = 12
JUDGED: dict[str, Any] = {
    **CONFIG,
    "maxSteps": 12,
    "evalSteps": 4,
    "saveSteps": 4,
    "evalDatasetSource": {"type": "file", "path": "data/held-out.jsonl"},
}


def held_out() -> list[dict[str, Any]]:
    rows = chats(HELD_OUT)
    for number, row in enumerate(rows):
        row["messages"][0]["content"] = f"{number}: {QUESTIONS[-number]}"
    return rows


@pytest.fixture(scope="module")
def project_with_held_out(shared_project: Path) -> Path:
    write_jsonl(shared_project / "data" / "held-out.jsonl", held_out())
    return shared_project


def judged(backend: Backend, config: dict[str, Any]) -> tuple[str, list[Frame]]:
    job = backend.submit(config, "judged")
    return job, [frame for frame in backend.events(job) if frame.event != "ping"]


@pytest.fixture(scope="module")
def usual(shared: Backend, project_with_held_out: Path) -> tuple[str, list[Frame]]:
    """One run of a usual adapter, for all that is asked of it."""
    del project_with_held_out
    return judged(shared, JUDGED)


def evaluation_in(frames: list[Frame]) -> dict[str, Any]:
    (found,) = [frame.json["evaluation"] for frame in frames if frame.event == "evaluation.completed"]
    return dict(found)


def recomputed(model: Path, adapter: Path | None, rows: list[dict[str, Any]]) -> list[float]:
    """Each row's mean loss a token of its answer, by the libraries alone, one row at a time."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    computing: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    if adapter:
        computing = PeftModel.from_pretrained(computing, str(adapter))
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
def test_it_is_so_for_other_adapters_and_for_whole_models(
    shared: Backend, project_with_held_out: Path, shared_data: Path, tiny: Path, changes: dict[str, Any]
) -> None:
    del project_with_held_out
    job, frames = judged(shared, {**JUDGED, **changes})
    check(shared_data, job, evaluation_in(frames), tiny, whole="fullFineTuning" in changes)


@pytest.mark.numeric
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_each_row_s_losses_are_those_of_plain_transformers_and_peft(
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


def test_a_run_ends_with_a_verdict_on_what_it_has_not_learned_from(
    shared: Backend, usual: tuple[str, list[Frame]]
) -> None:
    job, frames = usual
    evaluation = evaluation_in(frames)
    assert [frame.event for frame in frames][-3:] == ["evaluation.completed", "training.completed", "end"]
    assert evaluation["verdict"] == evaluation["heldOut"]["verdict"] == "better"
    assert evaluation["sentence"].startswith("Better than the base: loss ")
    assert f"on {HELD_OUT} held-out rows, 95 % interval of the difference" in evaluation["sentence"]
    assert evaluation["heldOut"]["difference"]["low"] > 0
    # A model of random weights that learns one sentence forgets nothing, since it knew nothing.
    assert evaluation["general"]["rows"] >= 60
    assert evaluation["bestStep"] in (4, 8, 12)
    assert evaluation["bestSentence"]
    assert set(evaluation) <= set(Evaluation.__annotations__)
    for part in (evaluation["heldOut"], evaluation["general"]):
        assert set(part) <= set(EvaluationPart.__annotations__)
    labels = [frame.json for frame in frames if frame.event == "model.progress"]
    last = [event for event in labels if event["label"] == "Evaluating"][-1]
    assert last["done"] == last["total"] == 2 * evaluation["general"]["rows"] + HELD_OUT
    assert shared.job(job)["evaluation"] == evaluation


def test_without_held_out_rows_there_is_no_verdict(shared: Backend) -> None:
    job, frames = judged(shared, {**CONFIG, "maxSteps": 2, "datasetSplit": 0})
    assert "evaluation.completed" not in [frame.event for frame in frames]
    assert "evaluation" not in shared.job(job)
    assert shared.job(job)["status"] == "completed"
