"""Two adapters on the same rows: the paired difference, and why some cannot be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.evaluation import results

pytest.importorskip("numpy")

from arkor_dev.contract.errors import ConflictError, NotFoundError
from arkor_dev.local.evaluation.adapter_pairs import compare
from arkor_dev.local.evaluation.comparing import compared
from arkor_dev.local.evaluation.paired import compare as paired
from arkor_dev.local.jobs.job_folder import job_folder

if TYPE_CHECKING:
    from pathlib import Path

LOSSES = [2.0, 2.4, 1.8, 2.2, 2.1, 1.9, 2.3, 2.05, 1.95, 2.15]
GAINS = [0.2, 0.3, 0.25, 0.2, 0.1, 0.3, 0.25, 0.2, 0.15, 0.3]
ONE: Any = {"id": "job_one", "name": "one"}
OTHER: Any = {"id": "job_other", "name": "the   other\n" + "x" * 100}


def scores(losses: list[float], **more: Any) -> Any:
    known = {"rows": "r", "tokens": "t", "groups": list(range(len(losses))), "margin": 0.01}
    return {**known, "adapter": losses, **more}


def evaluated(data: Path, job: dict[str, Any], told: object, step: int | None = None) -> None:
    result = {"evaluation": {"verdict": "better"}, "rows": [], "scores": told}
    results.write(results.result_file(job_folder(data, job["id"]), step), result)


async def test_comparing_adapters_treats_the_first_as_the_adapter(tmp_path: Path) -> None:
    better = [round(loss - gain, 6) for loss, gain in zip(LOSSES, GAINS, strict=True)]
    evaluated(tmp_path, ONE, scores(better))
    evaluated(tmp_path, OTHER, scores(LOSSES), 20)
    found = await compare(tmp_path, (ONE, None), (OTHER, 20), None)
    expected = paired(LOSSES, better)
    assert found["verdict"] == "better"
    assert found["difference"]["mean"] == pytest.approx(0.225)
    assert found["difference"]["low"] == pytest.approx(expected.low, abs=1e-5)
    assert found["sentence"].startswith(f"Better than the other {'x' * 49}… at step 20: loss ")
    assert "This compares two adapters, not their settings: another seed alone may" in found["sentence"]
    back = await compare(tmp_path, (OTHER, 20), (ONE, None), None)
    assert (back["verdict"], back["sentence"][:15]) == ("worse", "Worse than one:")


def test_comparisons_on_a_file_name_it() -> None:
    part = compared(scores(LOSSES), scores(LOSSES), "other", "data/x.jsonl")
    assert (part["name"], part["verdict"]) == ("data/x.jsonl", "same")
    assert part["sentence"].startswith(
        "No difference that matters from other: loss 2.08 vs. 2.08 on 10 rows of data/x.jsonl; 99 % interval"
    )
    few = compared(scores(LOSSES[:3]), scores(LOSSES[:3]), "other", "data/x.jsonl")
    assert "A verdict needs at least 8 rows." in few["sentence"]


def rewarded(successes: int, **more: Any) -> Any:
    """The stored scores of 40 episodes, of which so many reached the goal."""
    losses = [-1.0 * (number < successes) for number in range(40)]
    return scores(losses, **{"higher": "Mean reward", "acts": True, **more})


def test_rewards_of_0_or_1_are_compared_as_success_rates() -> None:
    part = compared(rewarded(31), rewarded(12), "first", None)
    low, high = part["difference"]["low"], part["difference"]["high"]
    assert (part["base"], part["adapter"], part["verdict"]) == (0.3, 0.775, "better")
    assert part["sentence"].startswith(
        "Better than first: reached the goal in 31 of 40 held-out episodes vs. 12; 95 % interval of the "
        f"difference {low:.2f} to {high:.2f}."
    )
    assert compared(rewarded(17), rewarded(12), "first", None)["verdict"] == "unclear", "McNemar's test"
    answers = compared(rewarded(31, acts=False), rewarded(12), "first", None)
    assert "reward 1 for 31 of 40 held-out answers vs. 12;" in answers["sentence"]


def test_the_larger_noise_margin_counts() -> None:
    close, wide = scores([loss - 0.05 for loss in LOSSES]), scores(LOSSES, margin=0.1)
    assert compared(close, scores(LOSSES), "other", None)["verdict"] == "better"
    assert compared(close, wide, "other", None)["verdict"] == "same"


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (scores(LOSSES, rows="s"), "were evaluated on different rows"),
        (scores(LOSSES[:9]), "were evaluated on different rows"),
        (scores(LOSSES, tokens="u"), "tokenize the same rows differently"),
        (None, "An earlier version has evaluated the other"),
        ({**scores(LOSSES), "adapter": ["1"] * 10}, "An earlier version has evaluated the other"),
    ],
    ids=["rows", "fewer", "tokens", "none", "hostile"],
)
async def test_incomparable_evaluations_have_the_reason(tmp_path: Path, told: object, why: str) -> None:
    evaluated(tmp_path, ONE, scores(LOSSES))
    evaluated(tmp_path, OTHER, told)
    with pytest.raises(ConflictError, match=why):
        await compare(tmp_path, (ONE, None), (OTHER, None), None)


async def test_missing_evaluations_are_named(tmp_path: Path) -> None:
    evaluated(tmp_path, ONE, scores(LOSSES))
    with pytest.raises(NotFoundError, match="one at step 5 has not been evaluated"):
        await compare(tmp_path, (ONE, 5), (OTHER, None), None)
    with pytest.raises(NotFoundError, match=r"one has not been evaluated on data/x\.jsonl"):
        await compare(tmp_path, (ONE, None), (OTHER, None), "data/x.jsonl")
