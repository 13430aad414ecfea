"""Each setting of the loop by what it does to a run of the tiny model; ``test_trl`` has more of them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

from arkor_dev.local.checkpoints.figures import EvaluationLosses
from arkor_dev.local.execution.messages import JobRequest
from arkor_dev.local.modeling.example import IGNORED
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.plan import asked_format
from arkor_dev.local.training.preparation import RunPreparation
from arkor_dev.local.training.run_events import RunEvents
from tests.local.job_configs import config_of
from tests.local.tiny_model import write_jsonl
from tests.local.tiny_run import events_of, losses_of, metrics_of, set_up

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.run import TrainingLoop

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
BRIEF: dict[str, Any] = {"maxSteps": 4, "learningRate": 1e-2, "lrSchedulerType": "constant"}


def moved(tiny: Path, folder: Path, **config: Any) -> list[Any]:
    """By how much each element of each weight that learns has moved in one step."""
    run = set_up(tiny, folder, {**BRIEF, "maxSteps": 1, **config})
    run.begin()
    before = [weight.detach().clone() for weight in run.trainable]
    for group in run.optimizer.param_groups:
        group["lr"] = run.plan.schedule.rate_at(1)
    run.learn(run.train[:4])
    return [(weight.detach() - old) for weight, old in zip(run.trainable, before, strict=True)]


def test_the_schedule_affects_the_weights(tiny: Path, tmp_path: Path) -> None:
    still = moved(tiny, tmp_path, lrSchedulerType="linear", warmupSteps=1)
    assert not any(step.any() for step in still)  # a warm-up begins at 0
    assert any(step.any() for step in moved(tiny, tmp_path))


def test_lion_updates_have_the_size_of_the_rate(tiny: Path, tmp_path: Path) -> None:
    import torch

    steps = torch.cat([step.flatten() for step in moved(tiny, tmp_path, optim="lion")])
    sizes = steps.abs()[steps != 0]
    assert len(sizes) > 1000
    assert torch.allclose(sizes, torch.full_like(sizes, 1e-2), atol=1e-6)


def test_lion_matches_its_paper() -> None:
    import torch

    from arkor_dev.local.training.optimizers import Lion

    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = Lion([{"params": [weight], "weight_decay": 0.5}], 0.1, (0.9, 0.5))
    expected, momentum = weight.detach().clone(), torch.zeros(2)
    for gradient in (torch.tensor([1.0, 1.0]), torch.tensor([-0.05, -4.0])):
        weight.grad = gradient
        optimizer.step()
        expected = expected * (1 - 0.1 * 0.5) - 0.1 * torch.sign(0.9 * momentum + 0.1 * gradient)
        momentum = 0.5 * momentum + 0.5 * gradient
        assert torch.allclose(weight, expected)


def test_fused_adamw_equals_the_plain_one(tiny: Path, tmp_path: Path) -> None:
    from torch.profiler import profile

    losses = {}
    for kind in ("adamw", "adamw_torch", "adamw_torch_fused"):
        run = set_up(tiny, tmp_path, {**BRIEF, "optim": kind})
        losses[kind] = losses_of(run)
        with profile() as seen:
            run.optimizer.step()
        fused = any("fused_adam" in event.name for event in seen.events())
        assert fused == (kind != "adamw_torch")
    assert losses["adamw"] == losses["adamw_torch_fused"] == pytest.approx(losses["adamw_torch"], abs=1e-4)


def test_norms_and_biases_have_no_weight_decay() -> None:
    import torch

    from arkor_dev.local.training.optimizers import make_optimizer
    from arkor_dev.local.training.plan import OptimizerPlan

    model = torch.nn.ModuleDict(
        {
            "layer": torch.nn.Linear(2, 2),
            "ln_1": torch.nn.LayerNorm(2),
            "input_layernorm": torch.nn.Linear(2, 1),
        }
    )
    decays, stays = make_optimizer(model, OptimizerPlan("adamw", 1.0, 0.5)).param_groups
    assert [tuple(weight.shape) for weight in decays["params"]] == [(2, 2)]
    assert (decays["weight_decay"], stays["weight_decay"], len(stays["params"])) == (0.5, 0.0, 5)


def test_the_row_order_has_its_own_seed(tiny: Path, tmp_path: Path) -> None:
    def begins(**config: Any) -> tuple[list[float], float]:
        run = set_up(tiny, tmp_path, {**BRIEF, "maxSteps": 3, **config}, seed=config.get("seed", 42))
        losses = losses_of(run)
        run.begin()
        return losses, float(sum(weight.sum() for weight in run.trainable))

    plain, adapter = begins()
    assert begins(dataSeed=42) == (plain, adapter)
    other, same_adapter = begins(dataSeed=7)
    assert (other != plain, same_adapter) == (True, adapter)
    third, other_adapter = begins(seed=9, dataSeed=42)
    # A fresh adapter does nothing yet, so the first loss tells the rows alone.
    assert (third[0], other_adapter != adapter) == (plain[0], True)


def test_neftune_noise_scales_with_length_in_training_only(tiny: Path, tmp_path: Path) -> None:
    import torch

    run = set_up(tiny, tmp_path, {**BRIEF, "neftuneNoiseAlpha": 5})
    run.begin()
    ids, table = torch.arange(40).reshape(2, 20), run.model.get_input_embeddings()
    clear = torch.nn.functional.embedding(ids, table.weight)
    blur = (table(ids) - clear).abs()
    most = 5 / (20 * 128) ** 0.5
    assert 0.9 * most < float(blur.max()) <= most
    assert float(blur.mean()) == pytest.approx(most / 2, rel=0.1)
    run.model.eval()
    assert torch.equal(table(ids), clear)


def test_gradient_checkpointing_changes_no_loss(tiny: Path, tmp_path: Path) -> None:
    def steps(again: bool) -> tuple[list[float], int]:
        run = set_up(tiny, tmp_path, {**BRIEF, "gradientCheckpointing": again})
        run.begin()
        calls = []
        block = run.model.get_base_model().model.layers[0].mlp
        block.register_forward_pre_hook(lambda *_: calls.append(1))
        return [run.learn(run.train[:4]) for _ in range(2)], len(calls)

    kept, once = steps(again=False)
    again, twice = steps(again=True)
    assert (once, twice) == (2, 4)
    assert again == pytest.approx(kept, abs=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_activation_offloading_gives_the_same_gradients(tmp_path: Path) -> None:
    """To the same bits, without checkpointing and with it. Emulated, in float32; weights are not copied."""
    import torch

    from arkor_dev.local.modeling.base_model import load_base
    from tests.local.tiny_model import make
    from tests.support import devices

    make(tmp_path / "deep", layers=6)

    def gradients(**config: bool) -> tuple[list[Any], int]:
        with devices.cuda() as gpu:
            base = load_base(tmp_path / "deep", dtype_name="float32")
            run = set_up(tmp_path / "deep", tmp_path, {**BRIEF, "loraR": 1, **config}, base=base)
            run.begin()
            run.optimizer.step = run.optimizer.zero_grad = lambda **_: None
            gpu.reset_peak()
            at_rest = gpu.allocated
            run.learn(run.train[:8])
            return [weight.grad.cpu().clone() for weight in run.trainable], gpu.peak - at_rest

    for again, most in ((False, 0.4), (True, 0.9)):
        kept, peak = gradients(gradientCheckpointing=again)
        moved, less = gradients(gradientCheckpointing=again, activationOffloading=True)
        assert all(map(torch.equal, kept, moved))
        assert any(gradient.any() for gradient in kept)
        assert less < most * peak


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({}, None),
        ({"numberFormat": "auto"}, None),
        ({"numberFormat": "float16"}, "float16"),
        ({"bf16": True}, "bfloat16"),
        ({"bf16": False}, "float32"),
        ({"bf16": False, "fp16": True}, "float16"),
        ({"fp16": False}, None),
    ],
)
def test_the_requested_dtype_is_read(config: dict[str, Any], wanted: str | None) -> None:
    assert asked_format(EffectiveSettings(config)) == wanted


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_matrix_products_use_the_requested_dtype(tiny: Path, tmp_path: Path, name: str) -> None:
    import torch

    from arkor_dev.local.modeling.number_format import DtypeChoice

    run = set_up(tiny, tmp_path, BRIEF, choice=DtypeChoice(getattr(torch, name), "of the test"))
    run.begin()
    seen: list[Any] = []
    run.model.get_base_model().model.layers[0].mlp.register_forward_hook(
        lambda _, __, result: seen.append(result.dtype)
    )
    losses = [run.learn(run.train[:4]) for _ in range(3)]
    assert set(seen) == {getattr(torch, name)}
    assert losses[2] < losses[0]
    assert run.scaler.is_enabled() == (name == "float16")


def evaluated(
    tiny: Path, folder: Path, figures: list[float], **config: Any
) -> tuple[TrainingLoop, dict[str, Any]]:
    """A run that measures after each step and finds ``figures`` on the rows that choose; what it came to.

    On all rows it finds the opposite: 10 less each figure.
    """
    run = set_up(tiny, folder, {**BRIEF, "maxSteps": len(figures), "evalSteps": 1, **config}, held_out=2)
    told = iter(figures)
    run.evaluate = lambda: EvaluationLosses(10 - (figure := next(told)), figure)  # type: ignore[method-assign]
    return run, {**metrics_of(run.run())}


def test_early_stopping_keeps_the_best_adapter(tiny: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    run, metrics = evaluated(tiny, tmp_path, [5, 4, 4.5, 4.2, 3], earlyStoppingPatience=2, saveSteps=1)
    assert (metrics["steps"], metrics["bestEvalLoss"], metrics["evalLoss"]) == (4, 5, 5.8)
    assert events_of(run).calls[-1][1]["message"] == (
        "Stopped after step 4, as 2 evaluations brought no improvement. The result is that of step 2, "
        "whose loss on the rows that choose was lowest (4.0000)"
    )
    folder = tmp_path / "jobs" / run.job_id
    final, second, last = (
        load_file(path / "adapter_model.safetensors")
        for path in (folder / "final", folder / "checkpoints" / "2", folder / "checkpoints" / "4")
    )
    assert all(torch.equal(final[name], second[name]) for name in final)
    assert not all(torch.equal(final[name], last[name]) for name in final)


def test_early_stopping_needs_an_improvement_beyond_the_threshold(tiny: Path, tmp_path: Path) -> None:
    figures = [5, 4.9, 4.8, 4.7, 4.6]
    patient = {"earlyStoppingPatience": 2}
    assert evaluated(tiny, tmp_path, figures, **patient)[1]["steps"] == 5
    assert evaluated(tiny, tmp_path, figures, **patient, earlyStoppingThreshold=0.2)[1]["steps"] == 3


def test_without_early_stopping_the_last_adapter_is_kept(tiny: Path, tmp_path: Path) -> None:
    run, metrics = evaluated(tiny, tmp_path, [4, 5, 6])
    assert metrics["steps"] == 3
    assert "training.message" not in [name for name, _ in events_of(run).calls]


def test_only_the_newest_checkpoints_are_kept(tiny: Path, tmp_path: Path) -> None:
    run = set_up(tiny, tmp_path, {**BRIEF, "saveSteps": 1, "saveTotalLimit": 2})
    run.run()
    kept = sorted(path.name for path in (tmp_path / "jobs" / run.job_id / "checkpoints").iterdir())
    assert kept == ["3", "4"]
    told = [(name, fields["step"]) for name, fields in events_of(run).calls if name.startswith("checkpoint")]
    assert told == [
        ("checkpoint.saved", 1),
        ("checkpoint.saved", 2),
        ("checkpoint.saved", 3),
        ("checkpoint.removed", 1),
        ("checkpoint.saved", 4),
        ("checkpoint.removed", 2),
    ]


def test_chat_labels_and_max_length_reach_the_batches(tiny: Path, tmp_path: Path) -> None:
    """From a job's config through everything that comes before the first step."""
    turns = [
        ("user", "Who pays?"),
        ("assistant", "I do."),
        ("user", "And then?"),
        ("assistant", "The ledger."),
    ]
    chat = {"messages": [{"role": role, "content": text} for role, text in turns]}
    write_jsonl(tmp_path / "d.jsonl", [chat])

    def prepared(model: Path, **config: Any) -> RunPreparation:
        source = {"type": "file", "path": "d.jsonl"}
        whole = {"model": "m", "datasetSource": source, "maxSteps": 1, **config}
        job = JobRequest("j", config_of(whole), str(tmp_path / "data"), str(tmp_path))
        told = RunPreparation(job, RunEvents(), lambda *_: None)
        told.read()
        told.load(Model("m", model))
        told.encode()
        return told

    def learned(**config: Any) -> tuple[str, int]:
        told = prepared(tiny, **config)
        (row,) = told.train
        return taught(told, row), len(row.ids)

    def taught(told: RunPreparation, row: Example) -> str:
        return str(told.base.tokenizer.decode([label for label in row.labels if label != IGNORED]))

    answers, length = learned()
    assert answers == "I do.<|im_end|>The ledger.<|im_end|>"
    assert learned(completionOnlyLoss=True) == ("The ledger.<|im_end|>", length)
    everything, _ = learned(trainOnResponsesOnly=False)
    assert everything.startswith("<|im_start|>user\nWho pays?<|im_end|>")

    # A template that writes the last answer in another way than those before it.
    rewrites = shutil.copytree(tiny, tmp_path / "rewrites")
    template = rewrites / "chat_template.jinja"
    last = "{% if m.role == 'assistant' and loop.last %}Now: {% endif %}{{ m.content }}"
    template.write_text(template.read_text().replace("{{ m.content }}", last))
    told = prepared(rewrites, batchSize=1)
    assert [taught(told, row) for row in told.train] == ["Now: I do.<|im_end|>", "Now: The ledger.<|im_end|>"]
    assert (told.plan.per_epoch, told.make_run().rows) == (2, {"train": 1, "heldOut": 0})
    one = prepared(rewrites, maxLength=len(told.train[0].ids) + 2)
    assert (len(one.train), one.cut) == (1, 1)
    assert learned(maxLength=length - 3)[1] == length - 3


def thinking_run(tiny: Path, tmp_path: Path, **config: Any) -> TrainingLoop:
    """A run on rows with thoughts of several lengths, one of them without any."""
    thoughts = ["Is the parcel lost? No.", "Who asks?", "", "The invoice has it, and the ledger, too."]
    rows = [
        {
            "prompt": "Where is it?",
            "completion": f"<think>{text}</think>The ledger." if text else "It is here.",
        }
        for text in thoughts
    ]
    write_jsonl(tmp_path / "d.jsonl", rows)
    source = {"type": "file", "path": "d.jsonl"}
    base = {"model": "m", "datasetSource": source, "maxSteps": 1, "evalSteps": 0, "numberFormat": "float32"}
    job = JobRequest("j", config_of({**base, **config}), str(tmp_path / "data"), str(tmp_path))
    preparation = RunPreparation(job, RunEvents(), lambda *_: None)
    preparation.read()
    preparation.load(Model("m", tiny))
    preparation.encode()
    run = preparation.make_run()
    run.begin()
    return run


@pytest.mark.parametrize("path", ["packed", "padded", "fused"])
def test_each_token_counts_with_its_weight(tiny: Path, tmp_path: Path, path: str) -> None:
    """The loss is the weighted mean over a step's tokens, here of each row's alone."""
    import torch

    from arkor_dev.local.cpu_kernels.patch_model import use_plain_attention

    run = thinking_run(tiny, tmp_path, thoughtWeight=0.3, answerWeight=2)
    if path == "padded":
        use_plain_attention(run.loss._inner)
        run.loss.padded = "it is tested"
    losses, weights = [], []
    for row in run.train:
        assert row.weights
        weights.append(
            torch.tensor([row.weights[at] for at in range(1, len(row.ids)) if row.labels[at] != IGNORED])
        )
        assert weights[-1].unique().tolist() == pytest.approx(
            [0.15, 1.0] if "<think>" in run.base.tokenizer.decode(row.ids) else [1.0]
        )
        losses.append(run.loss.token_losses([row]))
    run.loss.fused = path == "fused"
    weight = sum(each.sum() for each in weights)
    wanted = sum((loss * each).sum() for loss, each in zip(losses, weights, strict=True)) / weight
    own = [parameter for parameter in run.trainable if parameter.requires_grad]
    exact = torch.autograd.grad(wanted, own)
    total, count = run.loss(run.train)
    assert count == pytest.approx(float(weight))
    assert float(total.detach()) / count == pytest.approx(float(wanted.detach()), rel=1e-5)
    for ours, theirs in zip(torch.autograd.grad(total / count, own), exact, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6)
    # Held-out rows are measured in the same way.
    for (loss, of_row), each, own_weights in zip(
        run.loss.row_losses(run.train), losses, weights, strict=True
    ):
        assert of_row == pytest.approx(float(own_weights.sum()))
        assert loss == pytest.approx(float((each * own_weights).sum()), rel=1e-5)


def test_only_the_ratio_of_the_weights_counts(tiny: Path, tmp_path: Path) -> None:
    def step(**config: Any) -> float:
        run = thinking_run(tiny, tmp_path, batchSize=2, gradientAccumulationSteps=2, **config)
        return run.learn(run.train[:2], run.train[2:])

    assert step(thoughtWeight=1, answerWeight=4) == pytest.approx(step(thoughtWeight=0.25), rel=1e-6)
    assert step(thoughtWeight=0.25) != pytest.approx(step(), rel=1e-3)
    assert step(thoughtWeight=1e-6) == pytest.approx(step(thoughtWeight=0), rel=1e-4)
