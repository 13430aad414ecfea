"""Self-distillation: TRL's loss and gradients, its teacher, its moving average, and what is refused."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.in_ci import in_ci

pytest.importorskip("torch")

import torch

from arkor_dev.data.methods import forms_of
from arkor_dev.data.row_parser import row_of
from arkor_dev.local.forecast.steps import question_of
from arkor_dev.local.modeling.tokenizer import load_tokenizer
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.rows.encoding import Encoding
from arkor_dev.local.workers.errors import JobFailure
from tests.local.conftest import make_project
from tests.local.harness import Backend, until
from tests.local.tiny_model import PHRASE, QUESTIONS, write_jsonl
from tests.local.tiny_run import events_of, set_up
from tests.local.training.methods.test_distill import changed
from tests.local.training.test_going_on import bytes_of, pausing_after, points

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.methods.sdft.loss import SelfDistillationLoss
    from arkor_dev.local.training.run import TrainingLoop

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
ROWS = [{"prompt": asked, "completion": f"{PHRASE} {asked}"} for asked in QUESTIONS[:12]]
CONFIG: dict[str, Any] = {
    "method": "sdft",
    "maxSteps": 4,
    "batchSize": 4,
    "learningRate": 1e-2,
    "loggingSteps": 1,
    "evalSteps": 0,
    "maxCompletionLength": 6,
}


def examples(tiny: Path, rows: list[dict[str, Any]] = ROWS, longest: int = 512) -> list[Example]:
    read = [row_of(row, f"row {place}", None, {}, forms=forms_of("sdft")) for place, row in enumerate(rows)]
    return method("sdft").encode_all(load_tokenizer(tiny), read, Encoding(longest), lambda _: None)[0]


def run_of(tiny: Path, folder: Path, **config: Any) -> TrainingLoop:
    folder.mkdir(exist_ok=True)
    facts: dict[str, Any] = {"train": examples(tiny), "method": method("sdft"), "job_id": "job"}
    more = {name: config.pop(name) for name in ("resume_plan",) if name in config}
    return set_up(tiny, folder, {**CONFIG, **config}, **facts, **more)


def loss_of(run: TrainingLoop) -> SelfDistillationLoss:
    from arkor_dev.local.training.methods.sdft.loss import SelfDistillationLoss

    assert isinstance(run.loss, SelfDistillationLoss)
    return run.loss


def trl_inputs(rows: list[Example], taught: list[Example]) -> dict[str, Any]:
    """What TRL's trainer makes of the same prompts and answers: prompts padded left, answers right."""
    from trl.trainer.utils import pad

    def padded(parts: list[list[int]], side: str) -> tuple[Any, Any]:
        ids = pad([torch.tensor(part) for part in parts], padding_value=0, padding_side=side)
        return ids, pad([torch.ones(len(part), dtype=torch.long) for part in parts], 0, padding_side=side)

    split = [len(question_of(row)) for row in rows]
    prompts, prompt_mask = padded([row.ids[:at] for row, at in zip(rows, split, strict=True)], "left")
    answers, mask = padded([row.ids[at:] for row, at in zip(rows, split, strict=True)], "right")
    shown, shown_mask = padded([row.ids[: len(row.ids) - row.learned] for row in taught], "left")
    return {
        "prompt_ids": prompts,
        "prompt_mask": prompt_mask,
        "completion_ids": answers,
        "completion_mask": mask,
        "teacher_input_ids": torch.cat([shown, answers], 1),
        "teacher_attention_mask": torch.cat([shown_mask, mask], 1),
    }


def trl_trainer(model: Any, **arguments: Any) -> Any:
    """TRL's trainer without its constructor, which downloads and reads data."""
    from trl.experimental.sdft import SDFTTrainer

    trainer = SDFTTrainer.__new__(SDFTTrainer)
    trainer.args = SimpleNamespace(distillation_is_clip=2.0, **arguments)
    trainer.model = trainer.teacher_model = model
    trainer.accelerator = SimpleNamespace(unwrap_model=lambda m: m, gather=lambda value: value)
    trainer.model_kwarg_keys = {"logits_to_keep"}
    trainer.temperature, trainer.num_loss_tokens_to_skip = 0.7, 0
    trainer.use_teacher_server, trainer.current_gradient_accumulation_steps = False, 1
    trainer._metrics = defaultdict(lambda: defaultdict(list))
    trainer._name = "SDFT"
    trainer._use_peft_ema_teacher_adapter = lambda: True
    return trainer


@pytest.mark.numeric
@pytest.mark.parametrize(
    ("kind", "beta", "top_k", "add_tail"),
    [
        ("base", 0.0, 0, False),
        ("base", 0.5, 100, False),
        ("ema", 1.0, 5, True),
        ("ema", 0.3, 0, False),
        ("live", 0.5, 7, False),
    ],
)
def test_it_has_trl_s_loss_and_gradients(
    kind: str, beta: float, top_k: int, add_tail: bool, tiny: Path, tmp_path: Path
) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    choices = {"distillationTopk": top_k, "distillationAddTail": add_tail}
    run = run_of(tiny, tmp_path, beta=beta, teacherModelKind=kind, temperature=0.7, **choices)
    run.begin()
    changed(run.trainable, 0.05)
    loss_of(run).set_reference()
    if kind == "base":
        loss_of(run)._teacher_weights = {}
    changed(run.trainable, 0.05)
    ((rows,),) = run.loss.updates(1, [run.train[:4]])
    loss, weight = run.loss(rows)
    (loss / weight).backward()

    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    settings = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear")
    model = get_peft_model(model, settings)
    model.add_adapter("teacher", settings)
    theirs = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in run.model.named_parameters():
            theirs[name].copy_(value)
        for name, value in loss_of(run)._teacher_weights.items():
            theirs[name.replace(".default.", ".teacher.")].copy_(value)
    trainer = trl_trainer(
        model,
        teacher_model_kind=kind,
        distillation_mode="topk_logits" if top_k else "full_logits",
        distillation_topk=top_k or None,
        distillation_alpha=beta,
        distillation_add_tail=add_tail,
    )
    inputs = trl_inputs(list(rows), list(loss_of(run).as_taught(rows)))
    expected = trainer.compute_loss(model, inputs)
    expected.backward()
    assert float(expected.detach()) > 1e-4
    assert float(loss.detach() / weight) == pytest.approx(float(expected.detach()), rel=1e-5)
    for name, weight_of_ours in run.model.named_parameters():
        if weight_of_ours.requires_grad:
            torch.testing.assert_close(weight_of_ours.grad, theirs[name].grad, rtol=0, atol=1e-5)


def test_the_teacher_is_shown_the_wanted_answer(tiny: Path) -> None:
    tokenizer = load_tokenizer(tiny)
    talk = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Who pays {prompt}?"},
        {"role": "assistant", "content": "Nobody."},
        {"role": "user", "content": "Who {answer}?"},
        {"role": "assistant", "content": PHRASE},
    ]
    (row,) = examples(tiny, [{"messages": talk}])
    shown = tokenizer.decode(row.others[0].ids)
    assert shown.endswith(
        f"Who {{answer}}?\n\nThis is an example for a response to the question:\n{PHRASE}\n\n"
        "Now answer with a response of your own.<|im_end|>\n<|im_start|>assistant\n"
    )
    assert "Who pays {prompt}?<|im_end|>" in shown
    assert PHRASE not in tokenizer.decode(question_of(row))
    assert row.weight == 1


def test_a_tool_call_is_shown_as_json_before_the_results_of_earlier_ones(tiny: Path) -> None:
    call = {"type": "function", "function": {"name": "look_up", "arguments": {"city": "Oslo"}}}
    talk = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "Rain."},
        {"role": "assistant", "content": PHRASE, "tool_calls": [call]},
    ]
    (row,) = examples(tiny, [{"messages": talk}])
    shown = load_tokenizer(tiny).decode(row.others[0].ids)
    assert shown.index(PHRASE) < shown.index('"look_up"') < shown.index("Rain.")


def test_rows_that_no_teacher_can_be_shown_are_refused(tiny: Path) -> None:
    with pytest.raises(JobFailure, match="row 0: has no user message before its last answer"):
        examples(
            tiny,
            [{"messages": [{"role": "system", "content": "x"}, {"role": "assistant", "content": PHRASE}]}],
        )
    with pytest.raises(JobFailure, match=r"row 0: the prompt with the wanted answer is \d+ tokens long"):
        examples(tiny, ROWS, longest=60)


def test_its_own_answers_come_closer_to_those_of_the_model_that_knows(tiny: Path, tmp_path: Path) -> None:
    run = run_of(tiny, tmp_path, maxSteps=30, beta=0.0, distillationTopk=0)
    assert run.run().status == "completed"
    divergences = events_of(run).figures("divergence")
    assert sum(divergences[-5:]) < 0.8 * sum(divergences[:5])
    assert events_of(run).figures("completionLength")


@pytest.mark.parametrize(
    ("kind", "taught_like"), [("base", "start"), ("ema", "average"), ("live", "student")]
)
def test_its_teacher_has_the_weights_of_its_kind(
    kind: str, taught_like: str, tiny: Path, tmp_path: Path
) -> None:
    run = run_of(tiny, tmp_path, teacherModelKind=kind, teacherUpdateRate=0.5, teacherSyncSteps=2)
    run.begin()
    start = [weight.detach().clone() for weight in run.trainable]
    for step in (1, 2):
        updates = run.loss.updates(step, [run.train[:4]])
        next(updates)
        changed(run.trainable, 0.05)
        assert list(updates) == []
    learned = [weight.detach().clone() for weight in run.trainable]
    rows = run.train[:3]
    with loss_of(run)._teaching() as teacher:
        found = teacher.logits(rows)[0]
    expected = {
        "start": start,
        "average": [(old + new) / 2 for old, new in zip(start, learned, strict=True)],
        "student": learned,
    }[taught_like]
    with torch.no_grad():
        for weight, value in zip(run.trainable, expected, strict=True):
            weight.copy_(value)
        run.model.eval()
        torch.testing.assert_close(found, run.loss.logits(rows)[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [in_ci("base"), "ema"])
def test_it_resumes_to_the_same_bits(kind: str, tiny: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    settings: dict[str, Any] = {"loraDropout": 0.1, "teacherModelKind": kind, "teacherUpdateRate": 0.3}
    assert run_of(tiny, whole, **settings).run().status == "completed"
    paused = run_of(tiny, parts, **settings)
    pausing_after(2)(paused)
    assert paused.run().status == "paused"
    assert run_of(tiny, parts, **settings, resume_plan=points(parts)).run().status == "completed"
    assert bytes_of(parts) == bytes_of(whole)


def test_a_state_without_the_moving_average_is_of_another_run(tiny: Path, tmp_path: Path) -> None:
    paused = run_of(tiny, tmp_path)
    pausing_after(2)(paused)
    paused.run()
    resumed = run_of(tiny, tmp_path, teacherModelKind="ema", resume_plan=points(tmp_path))
    assert resumed.run().status == "completed"
    assert any("skipped" in str(fields.get("message")) for _, fields in events_of(resumed).calls)


def test_the_forecast_counts_every_answer_and_the_teachers_prompt(tiny: Path, tmp_path: Path) -> None:
    run = run_of(tiny, tmp_path)
    run.begin()
    rows = run.train[:4]
    assert run.loss.writes(rows, learning=True) == [(max(len(question_of(row)) for row in rows), 4, 6)]
    prompts = sum(len(question_of(row)) + len(row.others[0].ids) for row in rows)
    assert run.loss.reads(rows) == prompts + 2 * 4 * 6
    (batch,) = run.loss.expected([rows])
    assert [row.learned for row in batch] == [6] * 4
    assert float(run.loss(batch)[0].detach()) > 0


def test_the_whole_model_learns_from_itself_as_it_is(tiny: Path, tmp_path: Path) -> None:
    run = run_of(tiny, tmp_path, fullFineTuning=True, teacherModelKind="live", learningRate=1e-3, maxSteps=2)
    assert run.run().status == "completed"
    assert all(value > 0 for value in events_of(run).figures("divergence"))


def test_settings_that_do_not_go_with_it_are_refused() -> None:
    for config, says in (
        ({"fullFineTuning": True}, "the whole model twice"),
        ({"packing": True}, "sdft learns from answers that it samples"),
        ({"workers": 2}, "sdft trains in one process"),
    ):
        with pytest.raises(JobFailure, match=says):
            method("sdft").check(EffectiveSettings({"method": "sdft", **config}))
    method("sdft").check(
        EffectiveSettings({"method": "sdft", "fullFineTuning": True, "teacherModelKind": "live"})
    )


@pytest.fixture
def backend(tmp_path: Path, tiny: Path, template: dict[str, str]) -> Iterator[Backend]:
    project = make_project(tmp_path / "tests", tiny)
    write_jsonl(project / "data" / "rows.jsonl", ROWS)
    backend = Backend.start(tmp_path / "data", project, tmp_path / "cache", **template)
    yield backend
    backend.stop()


def test_a_job_is_forecast_and_ends_with_a_verdict(backend: Backend) -> None:
    config = {
        **CONFIG,
        "model": "./models/tiny",
        "datasetSource": {"type": "file", "path": "data/rows.jsonl"},
        "datasetSplit": 0.3,
        "evalSteps": 4,
        "numberFormat": "float32",
        "teacherModelKind": "ema",
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
    assert "secondModelHash" not in metadata
    assert metadata["settings"]["distillationTopk"] == 100
    assert all("divergence" in frame.json for frame in frames if "loss" in frame.json)
