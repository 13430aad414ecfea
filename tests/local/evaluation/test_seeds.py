"""Two settings: by runs that are paired by their seed, and not by rows."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import ConflictError
from arkor_dev.local.evaluation import results
from arkor_dev.local.evaluation.adapter_pairs import by_run, by_seed, compare_settings
from arkor_dev.local.jobs.job_folder import job_folder

if TYPE_CHECKING:
    from pathlib import Path


def job(name: str, seed: int | None, status: str = "completed", **config: Any) -> Any:
    told = {"model": "m", "seed": seed, **config}
    return {"id": f"job_{name}{seed}", "name": name, "status": status, "config": told}


def evaluated(data: Path, one: Any, loss: float, rows: str = "r") -> Any:
    scores = {"rows": rows, "tokens": "t", "groups": [0, 1], "adapter": [loss, loss + 0.2], "margin": 0.01}
    results.write(
        results.result_file(job_folder(data, one["id"]), None), {"evaluation": {}, "scores": scores}
    )
    return one


def test_repeats_differ_in_the_seed_only() -> None:
    first = job("a", None, loraR=8, setByHand=["loraR"])
    more = [
        job("a", 43, loraR=8),
        job("a", 44, loraR=16),
        job("a", 45, "failed", loraR=8),
        job("b", 42, loraR=8),
    ]
    assert {seed: each["id"] for seed, each in by_seed(more, first).items()} == {
        42: "job_aNone",
        43: "job_a43",
    }


async def test_settings_are_compared_by_run(tmp_path: Path) -> None:
    ones = [evaluated(tmp_path, job("a", 42 + n, loraR=16), 1.0 + 0.02 * n) for n in range(3)]
    others = [evaluated(tmp_path, job("b", 42 + n, loraR=8), 1.3 + 0.01 * n) for n in range(3)]
    found = await compare_settings(tmp_path, ones[0], others[0], [*ones, *others])
    assert (found["verdict"], found["rows"]) == ("better", 3)
    assert found["difference"]["mean"] == pytest.approx(0.29)
    assert found["sentence"] == (
        "These settings are better than those of b: mean held-out loss 1.120 vs. 1.410 with 3 seeds each; "
        "95 % interval of the difference 0.265 to 0.315."
    )
    with pytest.raises(ConflictError, match=r"takes 3 seeds of both, and there are 2 seeds: repeat"):
        await compare_settings(tmp_path, ones[0], others[0], [*ones, *others[:2]])
    with pytest.raises(ConflictError, match="have the same settings"):
        await compare_settings(tmp_path, ones[0], ones[1], ones)
    evaluated(tmp_path, others[2], 1.3, rows="s")
    with pytest.raises(ConflictError, match="different rows"):
        await compare_settings(tmp_path, ones[0], others[0], [*ones, *others])


def test_seed_noise_is_seldom_called_different() -> None:
    """Held-out losses of the same settings: what the seed does to a run is shared by nothing."""
    chance, trials = random.Random(8), 400

    def runs() -> list[float]:
        return [1.0 + chance.gauss(0, 0.1) for _ in range(3)]

    found = [by_run(runs(), runs(), 0.01, "b")["verdict"] for _ in range(trials)]
    assert sum(verdict in ("better", "worse") for verdict in found) <= 0.05 * trials + 14
