"""Two workers of one run learn what one learns, to what adding in another order changes."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

from arkor_dev.local.checkpoints.origin import differences
from arkor_dev.local.checkpoints.resume_points import checked_points
from tests.local.forked import answer
from tests.local.harness import FORKS

from .side import outcome, run_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Together = Callable[..., list[list[dict[str, Any]]]]

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(sys.platform != "linux", reason="each has an address of its own"),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]

SIDE = "tests.local.training.distributed.side"
HOSTS = ("127.0.0.3", "127.0.0.4", "127.0.0.5")
CASES: dict[str, dict[str, Any]] = {
    "accumulation": {
        "config": {"gradientAccumulationSteps": 2, "batchSize": 3, "evalSteps": 5, "saveSteps": 10},
        "held_out": 5,
    },
    "packs": {"config": {"packing": True, "batchSize": 2, "maxSteps": 5}},
    "patience": {
        "config": {"earlyStoppingPatience": 2, "earlyStoppingThreshold": 100, "evalSteps": 3},
        "held_out": 5,
    },
    "pissa": {"config": {"initLoraWeights": "pissa", "groupByLength": True, "maxSteps": 5}},
    "whole": {"config": {"fullFineTuning": True, "learningRate": 1e-3, "maxGradNorm": 0.1, "maxSteps": 5}},
    "too fast": {"config": {"learningRate": 1e20, "optim": "sgd", "maxGradNorm": 0, "maxSteps": 6}},
    # Some batches have fewer replayed rows than there are workers.
    "near the base": {"config": {"baseKl": 0.5, "replay": 0.3, "batchSize": 3, "maxSteps": 7}},
}


def named(name: str, case: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, **case}


@pytest.fixture
def together(tiny: Path, template: dict[str, str]) -> Together:
    """A function that gives what each of ``count`` workers says of each case."""

    def said(data: Path, cases: list[dict[str, Any]], count: int = 2) -> list[list[dict[str, Any]]]:
        order = {"tiny": str(tiny), "data": str(data), "cases": cases, "hosts": HOSTS[:count]}
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        found: list[list[dict[str, Any]]]
        found = json.loads(answer(template[FORKS], SIDE, env, json.dumps(order).encode() + b"\n"))
        return found

    return said


@pytest.mark.timeout(300)
def test_two_workers_learn_the_same_as_one(together: Together, tiny: Path, tmp_path: Path) -> None:
    cases = [named(name, case) for name, case in CASES.items()]
    first, second = together(tmp_path / "two", cases)
    for case, ours, other in zip(cases, first, second, strict=True):
        alone = outcome(run_of(tiny, tmp_path / "one" / case["name"], case))
        assert ours["ended"] == alone["ended"], case
        assert ours["losses"] == pytest.approx(alone["losses"], abs=1e-4), case
        assert ours["evals"] == pytest.approx(alone["evals"], abs=1e-4), case
        assert ours["losses"]
        assert ours["names"] == alone["names"], case
        assert ours["tokens"] == alone["tokens"]
        assert other["weights"] == ours["weights"], case  # of all workers they are the same bits
    assert first[0]["losses"][-1] < first[0]["losses"][0] - 0.5
    assert len(first[2]["losses"]) == 9, "patience came to no end"
    assert "diverged" in first[5]["ended"] or "learning rate" in first[5]["ended"]
    # The first worker alone writes.
    assert not list((tmp_path / "two").rglob("*.part"))
    assert (tmp_path / "two" / "accumulation" / "jobs" / "job" / "checkpoints" / "10").is_dir()


@pytest.mark.ci
@pytest.mark.timeout(300)
def test_a_distributed_run_resumes_to_the_same_bits(together: Together, tiny: Path, tmp_path: Path) -> None:
    config = {"loraDropout": 0.2, "saveSteps": 0}
    whole, case = named("whole", {"config": config}), named("cut", {"config": config})
    first, second = together(tmp_path, [whole, {**case, "pause": 7}])
    undisturbed, cut = first
    assert (cut["ended"], second[1]["ended"]) == ("paused", "lost")
    assert cut["losses"] == undisturbed["losses"][:7]
    [(point, wrong)] = checked_points(tmp_path / "cut", "job")
    assert (point.step, wrong) == (7, None)
    alone = outcome(run_of(tiny, tmp_path / "cut", {**case, "resume": True}), 9)
    assert alone["ended"] == "paused"
    assert len(alone["losses"]) == 2
    for later in checked_points(tmp_path / "cut", "job"):
        assert later[0].step == 9
    # Back to where two of them were: what is drawn by chance is drawn again.
    again, _ = together(tmp_path / "again", [{**case, "pause": 7}])
    assert again[0]["losses"] == cut["losses"]
    (ours,), (other,) = together(tmp_path / "again", [{**case, "resume": True}])
    assert ours["ended"] == "completed"
    assert ours["losses"] == undisturbed["losses"][7:]
    assert ours["weights"] == other["weights"] == undisturbed["weights"]


@pytest.mark.ci
@pytest.mark.timeout(300)
def test_three_workers_share_uneven_batches(together: Together, tiny: Path, tmp_path: Path) -> None:
    case = named("three", CASES["accumulation"] | {"config": {"batchSize": 4}, "held_out": 0})
    said = together(tmp_path / "three", [case], 3)
    alone = outcome(run_of(tiny, tmp_path / "one", case))
    assert said[0][0]["losses"] == pytest.approx(alone["losses"], abs=1e-4)
    assert len({each[0]["weights"] for each in said}) == 1


def test_a_changed_number_of_workers_is_reported() -> None:
    assert differences({}, {"workers": 2}) == ["its workers are 2 and were 1"]
    assert differences({"workers": 2}, {"workers": 4}) == ["its workers are 4 and were 2"]
    assert differences({"workers": 2}, {"workers": 2}) == []
