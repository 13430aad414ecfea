"""Distillation: TRL's loss and gradients, answers of the model and of its teacher, and what is refused."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file, save_file

from arkor_dev.contract.regular_files import sha256_of
from arkor_dev.data.methods import forms_of
from arkor_dev.data.row_parser import row_of
from arkor_dev.local.checkpoints.origin import FileHashes, check_trained_on
from arkor_dev.local.checkpoints.origin import changed as changed_inputs
from arkor_dev.local.forecast.steps import question_of
from arkor_dev.local.jobs.job_folder import final_folder
from arkor_dev.local.modeling import second_model
from arkor_dev.local.modeling.tokenizer import load_tokenizer
from arkor_dev.local.training.greedy import switched_off
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.methods.divergence import Divergence
from arkor_dev.local.training.rows.encoding import Encoding
from arkor_dev.local.training.run import TrainingLoop
from arkor_dev.local.workers.errors import JobFailure, OutOfMemory
from arkor_dev.local.workers.machine import Memory
from tests.local.conftest import make_project
from tests.local.harness import Backend, until
from tests.local.tiny_model import PHRASE, QUESTIONS, write_jsonl
from tests.local.tiny_run import events_of, read, set_up
from tests.local.training.test_going_on import bytes_of, pausing_after, points

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arkor_dev.local.jobs.atomic_folder import RunOrigin
    from arkor_dev.local.modeling.base_model import Base
    from arkor_dev.local.modeling.example import Example

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
ROWS = [{"prompt": asked, "completion": PHRASE} for asked in QUESTIONS]
CONFIG: dict[str, Any] = {
    "method": "distill",
    "teacher": "./teacher",
    "maxSteps": 4,
    "batchSize": 4,
    "learningRate": 1e-2,
    "loggingSteps": 1,
    "evalSteps": 0,
    "maxCompletionLength": 6,
}


def changed(weights: Any, size: float) -> None:
    """Add the same noise to ``weights`` whenever it is called."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in weights:
            weight.add_(size * torch.randn(weight.shape, generator=generator))


def teacher_of(tiny: Path) -> Base:
    """Return the tiny model with other weights."""
    teacher = read(tiny)
    changed(teacher.model.parameters(), 0.03)
    return teacher


def examples(tiny: Path) -> list[Example]:
    rows = [row_of(row, str(place), None, {}, forms=forms_of("distill")) for place, row in enumerate(ROWS)]
    return method("distill").encode_all(load_tokenizer(tiny), rows, Encoding(512), lambda _: None)[0]


def run_of(tiny: Path, folder: Path, **config: Any) -> TrainingLoop:
    folder.mkdir(exist_ok=True)
    facts: dict[str, Any] = {"train": examples(tiny), "method": method("distill"), "job_id": "job"}
    given = ("resume_plan", "second_adapter")
    more: dict[str, Any] = {name: config.pop(name) for name in given if name in config}
    more |= {} if "second_adapter" in more else {"second": teacher_of(tiny)}
    return set_up(tiny, folder, {**CONFIG, **config}, **facts, **more)


@pytest.mark.numeric
@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_it_has_trl_s_loss_and_gradients(beta: float, tiny: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM
    from trl.experimental.gkd import GKDTrainer

    from arkor_dev.local.training.objective import rectangle

    run = run_of(tiny, tmp_path, beta=beta)
    run.begin()
    changed(run.trainable, 0.05)
    rows = run.train[:4]
    loss, weight = run.loss(rows)
    (loss / weight).backward()

    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear"))
    theirs = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in run.model.named_parameters():
            theirs[name].copy_(value)
    ids, mask, labels = rectangle(rows)
    trainer = SimpleNamespace(
        teacher_model=teacher_of(tiny).model,
        beta=beta,
        generalized_jsd_loss=GKDTrainer.generalized_jsd_loss,
    )
    inputs = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    expected = GKDTrainer.compute_loss(trainer, model, inputs)
    expected.backward()
    assert float(loss.detach() / weight) == pytest.approx(float(expected.detach()), rel=1e-5)
    for name, weight_of_ours in run.model.named_parameters():
        if weight_of_ours.requires_grad:
            torch.testing.assert_close(weight_of_ours.grad, theirs[name].grad, rtol=0, atol=1e-5)


def test_its_chunks_add_up_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from arkor_dev.local.training.methods import divergence

    values, known = torch.randn(11, 50, requires_grad=True), torch.randn(11, 50)
    head = torch.nn.Linear(50, 70, bias=False).requires_grad_(False)
    sums, gradients = [], []
    for chunk in (4, 100):
        monkeypatch.setattr(divergence, "CHUNK", chunk)
        total = divergence.Divergence(0.5).summed((values, head), (known, head))
        gradients += torch.autograd.grad(total, values)
        sums.append(total.detach())
    torch.testing.assert_close(sums[0], sums[1])
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_more_of_the_vocabulary_comes_closer_to_the_whole(beta: float) -> None:
    generator = torch.Generator().manual_seed(1)
    own, known = (3 * torch.randn(20, 500, generator=generator) for _ in range(2))
    own.requires_grad_()

    def gradient(top_k: int, add_tail: bool = False) -> Any:
        loss = Divergence(beta, top_k, add_tail).summed((own, None), (known, None))
        return torch.autograd.grad(loss, own)[0]

    whole = gradient(0)
    torch.testing.assert_close(gradient(500), whole)
    for add_tail in (False, True):
        errors = [float((gradient(top_k, add_tail) - whole).norm()) for top_k in (5, 50, 450)]
        assert errors[0] > errors[1] > errors[2]


def test_it_comes_closer_to_its_teacher(tiny: Path, tmp_path: Path) -> None:
    run = run_of(tiny, tmp_path, maxSteps=30, lmbda=0.0, beta=0.0)
    assert run.run().status == "completed"
    divergences = events_of(run).figures("divergence")
    assert divergences[-1] < divergences[0] / 2


def test_a_teacher_stored_in_16_bit_computes_as_the_model_does(tiny: Path, tmp_path: Path) -> None:
    run = run_of(tiny, tmp_path)
    assert run.second
    run.second.model.to(torch.bfloat16)
    run.begin()
    assert torch.isfinite(run.loss(run.train[:2])[0])
    teacher = run.loss.second  # type: ignore[attr-defined]
    assert {weight.dtype for weight in teacher.model.parameters()} == {run.choice.dtype}


def test_the_base_is_the_teacher_of_an_adapter_that_has_changed(tiny: Path, tmp_path: Path) -> None:
    run = run_of(tiny, tmp_path, teacher="base", beta=0.0)
    run.begin()
    assert float(run.loss(run.train[:2])[0].detach()) == pytest.approx(0, abs=1e-4)
    changed(run.trainable, 0.05)
    assert float(run.loss(run.train[:2])[0].detach()) > 0.01


def saved_adapter(tiny: Path, folder: Path, **config: Any) -> tuple[Path, TrainingLoop]:
    """Return the folder of an adapter of the tiny model with other weights, and the run that it is from."""
    run = run_of(tiny, folder / "run", **config)
    run.begin()
    changed(run.trainable, 0.05)
    (folder / "adapter").mkdir()
    run.save(folder / "adapter")
    return folder / "adapter", run


@pytest.mark.parametrize(
    "config",
    [{}, {"loraR": 3, "loraTargetModules": ["q_proj", "down_proj"]}, {"loraModulesToSave": ["lm_head"]}],
)
def test_an_adapter_teaches_without_a_second_model(
    config: dict[str, Any], tiny: Path, tmp_path: Path
) -> None:
    folder, other = saved_adapter(tiny, tmp_path, **config)
    run = run_of(tiny, tmp_path / "job", loraTargetModules=["q_proj", "v_proj"], second_adapter=folder)
    run.begin()
    learning = [name for name, weight in run.model.named_parameters() if weight.requires_grad]
    rows = run.train[:4]
    untaught = run.loss.logits(rows)[0].detach()
    with run.loss._teaching() as teacher:  # type: ignore[attr-defined]
        known = teacher.logits(rows)[0]
    other.model.eval()
    torch.testing.assert_close(known, other.loss.logits(rows)[0].detach(), rtol=1e-4, atol=1e-4)
    assert [name for name, weight in run.model.named_parameters() if weight.requires_grad] == learning
    torch.testing.assert_close(run.loss.logits(rows)[0].detach(), untaught)
    assert not torch.allclose(known, untaught, atol=1e-2)
    with switched_off(run.model):
        torch.testing.assert_close(run.loss.logits(rows)[0].detach(), untaught)
    run.loss(rows)[0].backward()
    assert all(weight.grad is not None for weight in run.trainable)


@pytest.mark.ci
def test_a_student_follows_a_taught_adapter_on_unseen_prompts(tiny: Path, tmp_path: Path) -> None:
    taught = set_up(
        tiny, tmp_path, {"maxSteps": 30, "learningRate": 1e-2, "batchSize": 4}, train=examples(tiny)
    )
    taught.run()
    (tmp_path / "adapter").mkdir()
    taught.save(tmp_path / "adapter")
    settings = {"second_adapter": tmp_path / "adapter", "maxSteps": 40, "beta": 0.0, "learningRate": 1e-2}
    divergences = []
    for start in (TrainingLoop.begin, TrainingLoop.run):
        run = run_of(tiny, tmp_path / "job", **settings)
        run.train, unseen = run.train[::2], run.train[1::2]
        start(run)
        run.model.eval()
        with torch.no_grad():
            divergences.append(float(run.loss(unseen)[0]))
    assert divergences[1] < 0.2 * divergences[0]


@pytest.mark.ci
def test_learning_from_an_adapter_resumes_to_the_same_bits(tiny: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"loraDropout": 0.1, "seqKd": True}
    settings["second_adapter"], _ = saved_adapter(tiny, tmp_path)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run_of(tiny, whole, **settings).run().status == "completed"
    paused = run_of(tiny, parts, **settings)
    pausing_after(2)(paused)
    assert paused.run().status == "paused"
    assert run_of(tiny, parts, **settings, resume_plan=points(parts)).run().status == "completed"
    assert bytes_of(parts) == bytes_of(whole)


@pytest.mark.parametrize(("lmbda", "own"), [(0.0, 0), (1.0, 4)])
def test_a_share_of_the_rows_is_learned_with_the_models_own_answers(
    lmbda: float, own: int, tiny: Path, tmp_path: Path
) -> None:
    run = run_of(tiny, tmp_path, lmbda=lmbda)
    run.begin()
    rows = list(run.train[:4])
    ((updated,),) = run.loss.updates(1, [rows])
    assert sum(row.ids != given.ids for row, given in zip(updated, rows, strict=True)) == own
    for row, given in zip(updated, rows, strict=True):
        prompt = question_of(given)
        assert row.ids[: len(prompt)] == prompt == question_of(row)
        assert row.learned > 0


def test_the_teacher_answers_the_other_rows(tiny: Path, tmp_path: Path) -> None:
    answered = {}
    for name, lmbda, seq_kd in (("teacher", 0.0, True), ("own", 1.0, False)):
        run = run_of(tiny, tmp_path / name, lmbda=lmbda, seqKd=seq_kd)
        run.begin()
        ((updated,),) = run.loss.updates(1, [list(run.train[:4])])
        answered[name] = [row.ids for row in updated]
    given = [row.ids for row in run.train[:4]]
    assert all(ids not in given for ids in answered["teacher"])
    assert answered["teacher"] != answered["own"]


def test_it_resumes_to_the_same_bits_although_it_samples(tiny: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run_of(tiny, whole, loraDropout=0.1).run().status == "completed"
    paused = run_of(tiny, parts, loraDropout=0.1)
    pausing_after(2)(paused)
    assert paused.run().status == "paused"
    assert run_of(tiny, parts, loraDropout=0.1, resume_plan=points(parts)).run().status == "completed"
    assert bytes_of(parts) == bytes_of(whole)


def test_the_forecast_counts_sampled_answers(tiny: Path, tmp_path: Path) -> None:
    run = run_of(tiny, tmp_path, lmbda=0.5)
    run.begin()
    rows = run.train[:4]
    width = max(len(question_of(row)) for row in rows)
    assert run.loss.writes(rows, learning=True) == [(width, 2, 6)]
    assert run.loss.writes(rows, learning=False) == []
    (batch,) = run.loss.expected([rows])
    assert [row.learned for row in batch[:2]] == [6, 6]
    assert list(batch[2:]) == list(rows[2:])


def test_a_teacher_that_cannot_teach_is_refused() -> None:
    for config, says in (
        ({}, "needs a teacher"),
        ({"teacher": "https://example.com/v1"}, "gives texts only"),
        ({"teacher": "base", "fullFineTuning": True}, "the base cannot be its teacher"),
        ({"teacher": "base", "initLoraWeights": "pissa"}, "the base cannot be its teacher"),
        ({"teacher": "./other", "packing": True}, "remove packing"),
    ):
        with pytest.raises(JobFailure, match=says):
            method("distill").check(EffectiveSettings({"method": "distill", **config}))
    method("distill").check(EffectiveSettings({"method": "distill", "teacher": "base"}))


def test_a_teacher_of_another_vocabulary_or_without_room_is_refused(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, other = read(tiny), tmp_path / "other"
    second_model.check_vocabulary("tiny", tiny, base)
    shutil.copytree(tiny, other)
    tokenizer = load_tokenizer(tiny)
    tokenizer.add_tokens(["<aside>"])
    tokenizer.save_pretrained(other)
    with pytest.raises(JobFailure, match="has another vocabulary"):
        second_model.check_vocabulary("other", other, base)
    second_model.check_room("tiny", tiny, base)
    monkeypatch.setattr(second_model, "memory", lambda: Memory(1000, 10**9))
    base.device = "cpu"
    with pytest.raises(OutOfMemory, match="besides the one that learns"):
        second_model.check_room("tiny", tiny, base)


def test_a_teacher_without_finite_probabilities_is_refused_before_the_first_step(
    tiny: Path, tmp_path: Path
) -> None:
    run = run_of(tiny, tmp_path)
    assert run.second
    with torch.no_grad():
        run.second.model.get_input_embeddings().weight.fill_(torch.nan)
    with pytest.raises(JobFailure, match=r"The teacher ./teacher gives values that are not finite"):
        run.run()
    assert events_of(run).calls == []
    adapter, _ = saved_adapter(tiny, tmp_path)
    weights = load_file(adapter / "adapter_model.safetensors")
    save_file(
        {name: torch.full_like(weight, torch.inf) for name, weight in weights.items()},
        adapter / "adapter_model.safetensors",
    )
    with pytest.raises(JobFailure, match="not finite"):
        run_of(tiny, tmp_path / "other", second_adapter=adapter).begin()


def test_a_teacher_whose_files_have_changed_keeps_a_job_from_resuming() -> None:
    before: RunOrigin = {"model": "same", "secondModel": "old"}
    now: RunOrigin = {"model": "same", "secondModel": "new"}
    assert changed_inputs(before, now) == ["the files of its second model have changed"]
    assert changed_inputs(before, before) == []


@pytest.fixture
def backend(tmp_path: Path, tiny: Path, template: dict[str, str]) -> Iterator[Backend]:
    project = make_project(tmp_path / "tests", tiny)
    write_jsonl(project / "data" / "rows.jsonl", ROWS)
    shutil.copytree(project / "models" / "tiny", project / "models" / "teacher")
    other = read(tiny).model
    changed(other.parameters(), 0.03)
    other.save_pretrained(project / "models" / "other")
    for path in tiny.glob("*token*"):
        shutil.copy(path, project / "models" / "other")
    backend = Backend.start(tmp_path / "data", project, tmp_path / "cache", **template)
    yield backend
    backend.stop()


def test_a_job_gets_its_teacher_and_names_it_in_its_facts(backend: Backend) -> None:
    config = {
        **CONFIG,
        "teacher": "./models/teacher",
        "model": "./models/tiny",
        "datasetSource": {"type": "file", "path": "data/rows.jsonl"},
        "numberFormat": "float32",
        "samples": "off",
    }

    def forecast() -> Any:
        found = backend.call("POST", "/v1/forecast", {"config": config}).json["forecast"]
        assert found["state"] != "failed", found
        return found if found["state"] == "measured" else None

    assert until(forecast, 90)["trainingSeconds"] > 0
    job = backend.submit(config)
    frames = [frame for frame in backend.events(job) if frame.event.startswith("training")]
    assert backend.job(job)["status"] == "completed", frames[-1].data
    metadata = next(frame.json for frame in frames if frame.event == "training.started")["metadata"]
    assert metadata["secondModelHash"] == metadata["modelHash"]
    assert all("divergence" in frame.json for frame in frames if "loss" in frame.json)

    missing = backend.submit({**config, "teacher": "./models/nowhere"})
    frames = list(backend.events(missing))
    assert backend.job(missing)["status"] == "failed"
    assert "Model folder not found: ./models/nowhere" in backend.job(missing)["error"]


def test_a_job_learns_from_the_adapter_of_another_one(backend: Backend, tmp_path: Path) -> None:
    common = {
        "model": "./models/tiny",
        "datasetSource": {"type": "file", "path": "data/rows.jsonl"},
        "numberFormat": "float32",
        "samples": "off",
    }
    teacher = backend.submit(
        {**CONFIG, **common, "method": "sft", "teacher": None, "maxCompletionLength": None}
    )
    list(backend.events(teacher))
    config = {**CONFIG, **common, "teacher": teacher, "maxSteps": 120, "beta": 0.0, "lmbda": 0.0}

    def forecast() -> Any:
        found = backend.call("POST", "/v1/forecast", {"config": config}).json["forecast"]
        assert found["state"] != "failed", found
        return found if found["state"] == "measured" else None

    assert until(forecast, 90)["trainingSeconds"] > 0
    job = backend.submit(config)
    until(lambda: backend.job(job)["status"] == "running", 90)
    backend.call("POST", f"/v1/jobs/{job}/pause")
    until(lambda: backend.job(job)["status"] == "paused", 90)
    backend.call("POST", f"/v1/jobs/{job}/resume")
    frames = [frame for frame in backend.events(job) if frame.event.startswith("training")]
    assert backend.job(job)["status"] == "completed", frames[-1].data
    started = [frame.json["metadata"] for frame in frames if frame.event == "training.started"]
    assert len({metadata["secondModelHash"] for metadata in started}) == 1
    divergences = [frame.json["divergence"] for frame in frames if "divergence" in frame.json]
    assert divergences[-1] < divergences[0] / 5
    statement = json.loads((final_folder(tmp_path / "data", job) / "provenance.json").read_text())
    inputs = {
        file["name"]: file["digest"]
        for file in statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    }
    weights = final_folder(tmp_path / "data", teacher) / "adapter_model.safetensors"
    assert inputs["teacher/adapter_model.safetensors"] == {"sha256": sha256_of(weights)}

    base, hashes = tmp_path / "tests" / "models" / "tiny", FileHashes(tmp_path / "data")
    check_trained_on(teacher, weights.parent, base, False, hashes)
    with pytest.raises(
        JobFailure, match="on the full weights, which are not this job's: set load_in_4bit = false"
    ):
        check_trained_on(teacher, weights.parent, base, True, hashes)

    other_base = backend.submit({**config, "model": "./models/other"})
    list(backend.events(other_base))
    assert "on another base model" in backend.job(other_base)["error"]

    paused = backend.submit({**config, "maxSteps": 100_000})
    backend.wait_for(paused, "training.log")
    backend.call("POST", f"/v1/jobs/{paused}/pause")
    until(lambda: backend.job(paused)["status"] == "paused", 90)
    assert backend.call("DELETE", f"/v1/jobs/{teacher}").status < 300
    refused = backend.call("POST", f"/v1/jobs/{paused}/resume")
    assert (refused.status, backend.job(paused)["status"]) == (409, "paused")
    says = f"The job {teacher} is to teach this one, and it has been deleted"
    assert says in refused.json["error"]
    before = backend.job(paused)
    backend.call("POST", f"/v1/jobs/{paused}/resume", {"force": True})
    until(lambda: backend.job(paused)["status"] == "failed", 90)
    after = backend.job(paused)
    assert says in after["error"]
    assert after["resumable"] == before["pause"]["step"] > 0
