"""Answers of a run: the model's own, once each, and of no effect on what is learned."""

from __future__ import annotations

import functools
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.in_ci import others_in_ci

pytest.importorskip("torch")

from arkor_dev.data.rows import Row
from arkor_dev.local.jobs.job_folder import final_folder
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.samples import sampler
from arkor_dev.local.training.samples.budget import SampleBudget
from arkor_dev.local.training.samples.sampler import Samples
from tests.local.conftest import CONFIG, SAMPLED
from tests.local.tiny_model import PHRASE, QUESTIONS, chats
from tests.local.tiny_run import events_of, pause_of
from tests.local.training.test_going_on import SETTINGS, begin, bytes_of, pausing_after, points

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from arkor_dev.local.execution.messages import Ended
    from arkor_dev.local.training.run import TrainingLoop
    from tests.local.conftest import Trained
    from tests.local.harness import Backend, Frame

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
EVERY: dict[str, Any] = {"saveSteps": 3}
ALL: dict[str, dict[str, Any]] = {
    "dropout, noise, accumulation": dict(SETTINGS)["dropout, noise, accumulation"],
    "whole": {"fullFineTuning": True, "optim": "sgd", "learningRate": 1e-3},
    "dora, a head of its own": {"useDora": True, "loraDropout": 0.1, "loraModulesToSave": ["lm_head"]},
    "computed again, bfloat16": {
        "gradientCheckpointing": True,
        "loraDropout": 0.1,
        "numberFormat": "bfloat16",
    },
}
"""Adapter and whole model, with what draws random numbers or changes the model while it trains."""


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in this process answer as briefly as they may."""
    monkeypatch.setattr(SampleBudget, "limit", lambda *_: 8)
    monkeypatch.setattr(SampleBudget, "affordable", lambda *_: 1000)


def sampled(
    run: TrainingLoop, known: Collection[int] = (), stopped: Callable[[], bool] = lambda: False
) -> Ended:
    """Run it with samples of three chats, of which those of the steps ``known`` were sent before."""
    rows = [Row(chat["messages"], "chats") for chat in chats(8)]
    preparation: Any = SimpleNamespace(
        method=SimpleNamespace(answers=True),
        base=run.base,
        settings=EffectiveSettings({}),
        train_rows=rows,
        eval_rows=rows,
        classes=None,
        emit=run.emit,
        say=print,
        continuation=SimpleNamespace(options={"sampled": sorted(known)}, points=bool(run.resume_plan)),
    )
    samples = Samples(preparation, stopped, time.monotonic())
    samples.follow(run)
    ending = run.run()
    if ending.status == "completed":
        assert samples.end() or stopped()
    run.emit.observers.clear()
    return ending


def answers_of(run: TrainingLoop) -> dict[tuple[int, int], str]:
    """The answers by step and prompt; each is there once."""
    found = [fields for name, fields in events_of(run).calls if name == "sample.created"]
    told = {(fields["step"], fields["number"]): fields["answer"] for fields in found}
    assert len(told) == len(found)
    return told


def sampled_job(shared: Backend, config: dict[str, Any]) -> tuple[str, list[Frame]]:
    """A finished job and its events."""
    job = shared.submit(config, "sampled")
    return job, list(shared.events(job))


def messages_of(run: TrainingLoop) -> list[str]:
    return [fields["message"] for name, fields in events_of(run).calls if name == "training.message"]


@pytest.mark.numeric
@pytest.mark.parametrize("config", others_in_ci(ALL.values()), ids=ALL)
def test_sampling_does_not_change_a_bit_of_training(
    tiny: Path, tmp_path: Path, config: dict[str, Any]
) -> None:
    """Through a pause as well, and whatever draws random numbers on the way."""
    import torch

    from arkor_dev.local.modeling.number_format import DtypeChoice

    choice = DtypeChoice(getattr(torch, config.get("numberFormat", "float32")), "of the test")
    config = {**EVERY, **config}
    without = begin(tiny, tmp_path / "without", config, choice=choice)
    assert without.run().status == "completed"
    first = begin(tiny, tmp_path / "with", config, choice=choice)
    pausing_after(5)(first)
    assert sampled(first).status == "paused"
    then = begin(tiny, tmp_path / "with", config, choice=choice, resume_plan=points(tmp_path / "with"))
    assert sampled(then, {step for step, _ in answers_of(first)}).status == "completed"
    assert bytes_of(tmp_path / "with") == bytes_of(tmp_path / "without")
    kept, plain = (
        {path.name: path.read_bytes() for path in final_folder(tmp_path / name, "job").iterdir()}
        for name in ("with", "without")
    )
    kept.pop("manifest.json", None), plain.pop("manifest.json", None)
    assert kept == plain
    answers = answers_of(first) | answers_of(then)
    assert len(answers) == len(answers_of(first)) + len(answers_of(then))
    assert {step for step, _ in answers} == {0, 3, 6, 9}
    assert {number for _, number in answers} == {1, 2, 3}
    assert not any("could not be answered" in text for text in messages_of(first) + messages_of(then))


@functools.lru_cache(maxsize=2)
def loaded(model: Path, adapter: Path | None) -> tuple[Any, Any]:
    """A tokenizer and a model, by the libraries alone."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    answering: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    if adapter:
        answering = PeftModel.from_pretrained(answering, str(adapter))
    return AutoTokenizer.from_pretrained(model), answering.eval()


def greedy(model: Path, adapter: Path | None, question: str, count: int) -> str:
    """The libraries' own greedy answer, alone."""
    import torch

    tokenizer, answering = loaded(model, adapter)
    turns = [{"role": "user", "content": question}]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        for _ in range(count):
            token = answering(ids).logits[0, -1].argmax()
            if int(token) == tokenizer.eos_token_id:
                break
            ids = torch.cat([ids, token.view(1, 1)], dim=1)
    said: str = tokenizer.decode(ids[0, len(tokenizer(text, add_special_tokens=False)["input_ids"]) :], True)
    return said.strip()


@pytest.mark.numeric
def test_sample_answers_equal_transformers_and_peft(
    shared: Backend, shared_data: Path, answered: Trained, tiny: Path
) -> None:
    job, frames = answered.job, answered.events
    told = [frame.json for frame in frames if frame.event == "sample.created"]
    steps = sorted({each["step"] for each in told})
    assert {0, 30} <= set(steps) <= {0, 10, 20, 30}, "a busy machine has no time for some in between"
    assert [(each["step"], each["number"]) for each in told] == [
        (step, number) for step in steps for number in (1, 2, 3)
    ]
    names = [frame.event for frame in frames]
    # No step waits for the base's answers: they come with the first checkpoint's.
    assert names.index("training.log") < names.index("checkpoint.saved") < names.index("sample.created")
    # Nor does the verdict wait for the final adapter's.
    last = [number for number, frame in enumerate(frames) if frame.event == "sample.created"][-1]
    assert names.index("evaluation.completed") < last
    for each in told:
        assert each["prompt"].rpartition(": ")[2] in QUESTIONS
        assert each["wanted"] == PHRASE
        assert each["row"] >= 1
        folder = shared_data / "jobs" / job
        adapter = folder / "checkpoints" / str(each["step"]) if each["step"] else None
        # Of a model of random weights two tokens may be all but alike: only the beginning is sure to be.
        begins = greedy(tiny, adapter, each["prompt"], 4).rstrip("\ufffd")
        assert each["answer"].startswith(begins), (each, begins)
        # One that ends by itself is as the model has said it.
        assert not (each.get("truncated") and each["answer"].endswith("\ufffd")), "half a character"
    # A busy machine has time for fewer words.
    learned = [(each["answer"], each.get("truncated", False)) for each in told if each["step"] == 30]
    assert all(PHRASE.startswith(text) if cut else text == PHRASE for text, cut in learned)
    assert all(text for text, _ in learned)
    assert shared.job(job)["settings"]["samples"] is None


def test_sample_prompts_can_be_set_or_disabled(shared: Backend) -> None:
    asked = ["Where is my parcel?", "What is a refund?"]
    for samples, prompts in ((asked, asked), ("off", [])):
        config = {**CONFIG, "maxSteps": 2, "saveSteps": 0, "datasetSplit": 0, "samples": samples}
        _, frames = sampled_job(shared, config)
        told = [frame.json for frame in frames if frame.event == "sample.created"]
        assert [each["prompt"] for each in told if each["step"] == 2] == prompts
        assert {each["step"] for each in told} == ({0, 2} if prompts else set())
        assert not any("wanted" in each or "row" in each for each in told)


def test_samples_interrupted_by_a_pause_are_made_on_resume(tiny: Path, tmp_path: Path) -> None:
    seen: list[str] = []
    first = begin(tiny, tmp_path, EVERY)

    def paused() -> bool:
        """From the adapter's second token after step 3 on."""
        seen.extend(["token"] if first.step == 3 and answers_of(first) else [])
        return len(seen) > 2

    first.stop.pausing = lambda: "asked" if paused() else None
    ending = sampled(first, stopped=paused)
    assert pause_of(ending)["step"] == 3
    assert {step for step, _ in answers_of(first)} == {0}
    then = begin(tiny, tmp_path, EVERY, resume_plan=points(tmp_path))
    sampled(then, {0})
    assert {step for step, _ in answers_of(then)} == {3, 6, 9}


def test_a_rolled_back_run_samples_again(tiny: Path, tmp_path: Path) -> None:
    run = begin(tiny, tmp_path, {**EVERY, "onNonFinite": "lower_rate"})
    learn = run.learn
    fell: list[int] = []

    def falls_once(*batches: Any) -> float:
        if run.step == 8 and not fell:
            fell.append(8)
            return run._finite(float("nan"))
        return learn(*batches)

    run.learn = falls_once  # type: ignore[method-assign]
    sampled(run)
    assert fell == [8]
    names = [name for name, _ in events_of(run).calls]
    assert "training.resumed" in names
    assert {step for step, _ in answers_of(run)} == {0, 3, 6, 9}


def test_a_sampling_error_does_not_fail_the_run(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("this model cannot")

    monkeypatch.setattr(sampler, "answers", broken)
    run = begin(tiny, tmp_path, EVERY)
    assert sampled(run).status == "completed"
    assert messages_of(run).count("The sample prompts could not be answered: this model cannot") == 1
    assert answers_of(run) == {}
    assert run.model.training
    assert "RuntimeError: this model cannot" in capfd.readouterr().err


def test_only_some_of_many_checkpoints_are_sampled(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampler, "MOST_ROUNDS", 3)
    run = begin(tiny, tmp_path, {"saveSteps": 1, "maxSteps": 8})
    sampled(run)
    assert {step for step, _ in answers_of(run)} == {0, 3, 6, 8}


@pytest.mark.parametrize(
    ("config", "steps"),
    [({}, {0, 9}), ({"fullFineTuning": True, "optim": "sgd"}, {9})],
    ids=["adapter", "whole"],
)
def test_a_branch_samples_the_base_if_available(
    tiny: Path, tmp_path: Path, config: dict[str, Any], steps: set[int]
) -> None:
    """The model that a branch begins with is none: the base is it without its adapter, if that can be had."""
    begin(tiny, tmp_path / "first", {**config, "maxSteps": 9}).run()
    branch = begin(tiny, tmp_path / "branch", config, parent=final_folder(tmp_path / "first", "job"))
    sampled(branch)
    assert {step for step, _ in answers_of(branch)} == steps
    if 0 in steps:
        plain = begin(tiny, tmp_path / "plain", config)
        sampled(plain)
        assert answers_of(branch)[0, 1] == answers_of(plain)[0, 1]


def test_a_resumed_job_has_each_sample_once(shared: Backend) -> None:
    config = {**SAMPLED, "maxSteps": 60, "saveSteps": 20, "loggingSteps": 1, "learningRate": 1e-4}
    for _ in range(3):  # it may be over before it is paused
        job = shared.submit(config)
        for frame in shared.events(job):
            if frame.event == "checkpoint.saved":
                break
        if shared.call("POST", f"/v1/jobs/{job}/pause").json.get("job", {}).get("status") == "paused":
            break
    assert shared.call("POST", f"/v1/jobs/{job}/resume", {}).status == 200
    told = [
        (frame.json["step"], frame.json["number"])
        for frame in shared.events(job)
        if frame.event == "sample.created"
    ]
    shared_steps = sorted({step for step, _ in told})
    # On a busy machine there is no time for each of them.
    assert {0, 60} <= set(shared_steps) <= set(range(0, 61, 20))
    assert len(told) == len(set(told)) == 3 * len(shared_steps)
