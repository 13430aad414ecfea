"""A run with ``max_harm`` ends with the strongest adapter whose harm in general is below it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from arkor_dev.local.evaluation.paired import compare
from arkor_dev.local.jobs.job_folder import checkpoint_folder, final_folder, resume_steps
from tests.local.tiny_run import events_of, made_up, pause_of, set_up
from tests.local.training.test_going_on import points

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from arkor_dev.contract.shapes import EvaluationBudget
    from arkor_dev.local.evaluation.budget import Harm
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.final_evaluation.budget import ForgettingBudget
    from arkor_dev.local.training.run import TrainingLoop

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
STEPS, HELD_OUT, LIMIT = 8, 10, 0.1
PICKING = [True, False] * (HELD_OUT // 2)
SAVED: dict[str, Any] = {"saveSteps": 2}
"""Keeps a checkpoint at each quarter of the run."""
CONFIG: dict[str, Any] = {
    "maxSteps": STEPS, "saveSteps": STEPS, "evalSteps": 4, "learningRate": 2e-2, "batchSize": 4,
}  # fmt: skip


def questions() -> list[Example]:
    return made_up(60)[36:]


class Budgeted(NamedTuple):
    """A run that ends by choosing its strength, which is then in ``chosen``."""

    run: TrainingLoop
    budget: ForgettingBudget
    chosen: list[EvaluationBudget]


def budgeted(
    tiny: Path,
    data: Path,
    limit: float,
    picking: Sequence[bool] = (),
    config: dict[str, Any] | None = None,
    **more: Any,
) -> Budgeted:
    from arkor_dev.local.training.final_evaluation.budget import ForgettingBudget

    data.mkdir(exist_ok=True)
    run = set_up(tiny, data, {**CONFIG, **(config or {})}, HELD_OUT, job_id="job", **more)
    if picking:  # what is learned of rows that train is more with each step
        run.held_out = made_up(HELD_OUT)
    budget = ForgettingBudget(run, limit, questions(), range(HELD_OUT), (), run.stop.requested, picking)
    chosen: list[EvaluationBudget] = []
    run.adjust_result = lambda: chosen.append(budget.choose())
    return Budgeted(run, budget, chosen)


def weights_in(folder: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    (file,) = folder.glob("*model.safetensors")
    loaded: dict[str, Tensor] = load_file(file)
    return loaded


def general_losses(run: TrainingLoop) -> list[float]:
    return [loss / count for loss, count in run.loss.cross_entropy(questions())]


def test_the_result_is_the_strongest_adapter_below_the_limit(tiny: Path, tmp_path: Path) -> None:
    from arkor_dev.local.training.final_evaluation.budget import scaled
    from arkor_dev.local.training.greedy import switched_off

    run, budget, choices = budgeted(tiny, tmp_path / "data", LIMIT)
    assert run.run().status == "completed"
    (chosen,) = choices
    strength, after = chosen["strength"], general_losses(run)
    assert chosen["kept"]
    assert 0.1 < strength < 1
    # The checkpoint has the adapter as it was trained, and the result the same one, turned down.
    trained = weights_in(checkpoint_folder(tmp_path / "data", "job", STEPS))
    for name, weight in weights_in(final_folder(tmp_path / "data", "job")).items():
        assert weight.allclose(trained[name] * (strength if ".lora_B." in name else 1), rtol=1e-5)
    with switched_off(run.model):
        base = general_losses(run)
    harm = compare(base, after)
    assert chosen["harm"] == pytest.approx(-harm.mean, abs=1e-4)
    assert chosen["most"] == pytest.approx(-harm.low, abs=1e-3)
    assert chosen["most"] < LIMIT
    with scaled(run.model, (strength + 0.1) / strength):
        assert -compare(base, general_losses(run)).low > LIMIT
    # The cost is beside the adapter as it was trained.
    now = [loss / count for loss, count in run.loss.row_losses(run.held_out)]
    assert budget.rows == pytest.approx(now, abs=1e-4)
    cost = sum(now) / HELD_OUT - sum(run.row_losses) / HELD_OUT
    assert chosen["cost"]["mean"] == pytest.approx(cost, abs=1e-4)
    assert chosen["divergence"] > 0
    said = [fields["message"] for name, fields in events_of(run).calls if name == "training.message"]
    assert said[-1] == chosen["sentence"]
    assert f"at {100 * strength:.0f} % strength" in said[-1]


def test_long_general_questions_beside_short_rows_are_measured_in_few_at_once(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as of the short rows could need more memory than training did."""
    from arkor_dev.local.evaluation.stage import PACKED
    from arkor_dev.local.training.final_evaluation.budget import ForgettingBudget

    run = budgeted(tiny, tmp_path / "data", LIMIT).run
    run.begin()
    longer = [replace(asked, ids=asked.ids * 20, labels=asked.labels * 20) for asked in questions()]
    tokens, measured = [], run.loss.cross_entropy

    def counted(rows: Sequence[Example]) -> list[tuple[float, float]]:
        tokens.append(sum(row.tokens for row in rows))
        return measured(rows)

    monkeypatch.setattr(run.loss, "cross_entropy", counted)
    ForgettingBudget(run, 10.0, longer, range(HELD_OUT), (), run.stop.requested).choose()
    assert run.measured_at_once == HELD_OUT
    assert PACKED / 2 < max(tokens) <= PACKED


@pytest.mark.parametrize(
    ("picking", "config"), [((), {}), (PICKING, SAVED)], ids=["of the last step", "of four steps"]
)
def test_a_run_paused_in_the_choice_resumes_to_the_same_bits(
    tiny: Path, tmp_path: Path, picking: Sequence[bool], config: dict[str, Any]
) -> None:
    whole = budgeted(tiny, tmp_path / "whole", LIMIT, picking, config)
    looks: list[int] = []
    whole.run.stop.pausing = lambda: looks.append(whole.run.step)
    assert whole.run.run().status == "completed"
    paused = budgeted(tiny, tmp_path / "data", LIMIT, picking, config).run
    asked = iter(range(100))
    most = 3 * looks.count(STEPS) // 4
    paused.stop.pausing = lambda: "asked" if paused.step == STEPS and next(asked) > most else None
    assert pause_of(paused.run()) == {"type": "training.paused", "step": STEPS, "reason": "asked"}
    assert not final_folder(tmp_path / "data", "job").exists()
    assert resume_steps(tmp_path / "data", "job") in ([], [STEPS])
    resumed = budgeted(tiny, tmp_path / "data", LIMIT, picking, config, resume_plan=points(tmp_path / "data"))
    assert resumed.run.run().status == "completed"
    assert resumed.chosen == whole.chosen
    first, second = (weights_in(final_folder(tmp_path / name, "job")) for name in ("whole", "data"))
    assert all(first[name].equal(second[name]) for name in first)


def test_the_step_is_chosen_by_its_loss_on_rows_that_do_not_judge(tiny: Path, tmp_path: Path) -> None:
    from arkor_dev.local.evaluation.budget import harm_of, parts_of, strongest
    from arkor_dev.local.training.adapter import load_weights
    from arkor_dev.local.training.final_evaluation.budget import scaled
    from arkor_dev.local.training.greedy import switched_off

    run, budget, choices = budgeted(tiny, tmp_path / "data", LIMIT, PICKING, SAVED)
    assert run.run().status == "completed"
    (chosen,) = choices
    step, strength = chosen["step"], chosen["strength"]
    assert (chosen["steps"], run.kept_step, chosen["kept"]) == (4, step, True)
    saved = weights_in(checkpoint_folder(tmp_path / "data", "job", step))
    for name, weight in weights_in(final_folder(tmp_path / "data", "job")).items():
        assert weight.allclose(saved[name] * (strength if ".lora_B." in name else 1), rtol=1e-5)
    # Every other step's strongest adapter within the limit is worse on the rows that choose.
    with switched_off(run.model):
        base = general_losses(run)
    learning = {name: weight for name, weight in run.model.named_parameters() if weight.requires_grad}
    losses = {}
    tried = [8, 6, 4, 2]
    for each, parts in zip(tried, parts_of(tried), strict=True):
        load_weights(learning, checkpoint_folder(tmp_path / "data", "job", each))

        def harm_at(strength: float, parts: int = parts) -> Harm:
            with scaled(run.model, strength):
                return harm_of(strength, base, general_losses(run), parts)

        choice = strongest(harm_at, LIMIT)
        with scaled(run.model, choice.chosen.strength):
            rows = [loss / count for loss, count in run.loss.row_losses(run.held_out)]
        if choice.within:
            losses[each] = sum(loss for loss, picks in zip(rows, PICKING, strict=True) if picks)
        if each == step:
            assert (choice.chosen.strength, choice.within) == (strength, True)
            assert budget.rows == pytest.approx(rows, abs=1e-4)
            # The others say what the choice costs.
            cost = compare(rows, run.row_losses, range(HELD_OUT), chose=PICKING)
            assert cost.rows == HELD_OUT // 2
            assert chosen["cost"]["mean"] == pytest.approx(cost.mean, abs=1e-3)
    assert min(losses, key=losses.__getitem__) == step
    assert f"at step {step} with" in chosen["sentence"]


def test_without_rows_to_choose_or_checkpoints_the_last_step_is_the_result(
    tiny: Path, tmp_path: Path
) -> None:
    for name, picking, config in (("none", (), SAVED), ("no checkpoint", PICKING, {"saveSteps": 0})):
        run, _, choices = budgeted(tiny, tmp_path / name, LIMIT, picking, config)
        run.run()
        assert "step" not in choices[0]
        assert run.kept_step == STEPS
        assert ("independent held-out rows, one can be chosen" in choices[0]["sentence"]) == (not picking)


def test_a_damaged_checkpoint_is_no_candidate(tiny: Path, tmp_path: Path) -> None:
    run, budget, _ = budgeted(tiny, tmp_path / "data", LIMIT, PICKING, SAVED)
    chosen = []

    def damage() -> None:
        for step in (2, 4):
            (file,) = checkpoint_folder(tmp_path / "data", "job", step).glob("*model.safetensors")
            file.write_bytes(file.read_bytes()[:-1] + b"x")
        chosen.append(budget.choose())

    run.adjust_result = damage
    assert run.run().status == "completed"
    assert chosen[0]["steps"] == 2
    assert chosen[0]["step"] in (6, 8)


@pytest.mark.parametrize(("limit", "strength"), [(10.0, 1.0), (0.01, 0.1)], ids=["never reached", "always"])
def test_a_limit_that_does_not_choose_says_so(
    tiny: Path, tmp_path: Path, limit: float, strength: float
) -> None:
    run, _, choices = budgeted(tiny, tmp_path / "data", limit)
    run.run()
    (chosen,) = choices
    assert (chosen["strength"], chosen["kept"]) == (strength, strength == 1)
    start = "Forgetting budget: at full strength" if chosen["kept"] else "Over the forgetting budget: even at"
    assert chosen["sentence"].startswith(start)
    assert ("cost" in chosen) == (strength < 1)


def test_too_few_questions_to_bound_any_harm_are_refused_before_the_training(
    tiny: Path, tmp_path: Path
) -> None:
    """A model's chat template may accept none of them."""
    from arkor_dev.local.training.final_evaluation.budget import ForgettingBudget
    from arkor_dev.local.workers.errors import JobFailure

    run = budgeted(tiny, tmp_path / "data", LIMIT).run
    for count in (0, 7):
        with pytest.raises(JobFailure, match=f"max_harm needs 8 general questions, .* accepts {count}"):
            ForgettingBudget(run, LIMIT, questions()[:count], range(HELD_OUT), (), run.stop.requested)


def test_only_the_trained_adapter_is_turned_down_and_not_its_teacher() -> None:
    import torch

    from arkor_dev.local.training.final_evaluation.budget import scale

    model = torch.nn.ModuleDict(
        {
            part: torch.nn.ModuleDict({name: torch.nn.Linear(1, 1, bias=False) for name in ("default", "of")})
            for part in ("lora_A", "lora_B")
        }
    )
    layer = torch.nn.ModuleDict({"layer": model})
    for weight in layer.parameters():
        torch.nn.init.ones_(weight)
    scale(layer, 0.5)
    assert {name: float(weight.detach()) for name, weight in layer.named_parameters()} == {
        "layer.lora_A.default.weight": 1, "layer.lora_A.of.weight": 1,
        "layer.lora_B.default.weight": 0.5, "layer.lora_B.of.weight": 1,
    }  # fmt: skip
