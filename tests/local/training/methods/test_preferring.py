"""It learns what was preferred, and says so; from coin flips it says that there is no difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("torch")

from .preferring import answer_lengths, brief, coin_flips, encoded, trained, verdict_on

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]


def test_preferring_brief_answers_makes_answers_brief(tiny: Path, tmp_path: Path) -> None:
    how = {"batchSize": 8, "maxSteps": 30, "learningRate": 1e-2, "rpoAlpha": 0.2, "evalSteps": 0}
    run = trained(tiny, tmp_path, brief(64, 1), **how)
    held_out = encoded(tiny, brief(24, 2))
    judged = verdict_on(run, held_out)
    assert judged.verdict == "better", judged.sentence()
    assert judged.interval[0] > 0.5
    after = answer_lengths(run, held_out[:6], 32)
    with run.model.disable_adapter():
        before = answer_lengths(run, held_out[:6], 32)
    assert max(after) < min(before), (after, before)


@pytest.mark.ci
def test_random_preferences_are_no_difference(tiny: Path, tmp_path: Path) -> None:
    """A few of the bench's forty repeats; at most one in a hundred may find a difference by chance."""
    said = []
    for seed in range(3):
        how = {"batchSize": 8, "maxSteps": 8, "learningRate": 1e-2, "evalSteps": 0}
        run = trained(tiny, tmp_path / str(seed), coin_flips(32, seed), **how)
        said.append(verdict_on(run, encoded(tiny, coin_flips(24, 1000 + seed))).verdict)
    assert said.count("unclear") >= 2, said
