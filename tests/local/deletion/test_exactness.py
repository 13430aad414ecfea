"""An adapter from which rows were deleted has the bits of one that was trained without them."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

from arkor_dev.local.checkpoints.resume_points import ResumePlan
from arkor_dev.local.checkpoints.state import read_state, write_state
from arkor_dev.local.jobs.job_folder import checkpoint_folder
from arkor_dev.local.training.rows.left_out import BLANK, blanked, first_use
from tests.support.in_ci import in_ci

from . import deleting
from .deleting import ROWS, SETTINGS, delete, deletion_plan, plan_of, ranks, rows, secrets, train

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]


IN_CI = ("loraDropout", "gradientAccumulationSteps")
"""The replayed one has dropout, too; accumulated batches are drawn as others."""


@pytest.mark.parametrize(
    "settings",
    [in_ci(each) if next(iter(each)) in IN_CI else each for each in SETTINGS],
    ids=lambda settings: next(iter(settings)),
)
def test_the_bits_are_those_of_a_run_without_the_rows(
    tiny: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    examples, chance = rows(), random.Random(str(settings))
    whole = train(tiny, tmp_path, "job", examples, settings)
    latest = max(examples, key=lambda row: first_use(examples, plan_of(examples, settings), [row.where]) or 0)
    for number, killed in enumerate((None, chance.randrange(3, 14))):
        deleted = [latest.where, *(chance.sample([row.where for row in examples], number))]
        if number:
            deleted = deleted[1:]
        gone = delete(tiny, tmp_path, f"gone{number}", deleted, settings, killed_at=killed)
        scratch = train(tiny, tmp_path, f"scratch{number}", blanked(examples, deleted), settings)
        assert gone.weights == scratch.weights != whole.weights
        if not number:
            assert gone.start > 0


def test_a_row_that_its_source_s_weight_repeats_is_deleted_with_its_copies(
    tiny: Path, tmp_path: Path
) -> None:
    examples, settings = [row for row in rows()[:12] for _ in range(2)], SETTINGS[0]
    plan = plan_of(examples, settings)
    latest = max(examples, key=lambda row: first_use(examples, plan, [row.where]) or 0)
    train(tiny, tmp_path, "job", examples, settings)
    gone = delete(tiny, tmp_path, "gone", [latest.where], settings, examples=examples)
    left = blanked(examples, [latest.where])
    assert sum(set(row.ids) == {BLANK} for row in left) == 2
    assert gone.start > 0
    assert gone.weights == train(tiny, tmp_path, "scratch", left, settings).weights


def test_the_text_of_a_deleted_row_is_never_read(tiny: Path, tmp_path: Path) -> None:
    examples = rows()
    left = blanked(examples, ["row 3"])
    assert set(left[2].ids) == {BLANK}
    assert (len(left[2].ids), left[2].weight) == (len(examples[2].ids), examples[2].weight)
    assert [left[n] for n in range(ROWS) if n != 2] == [examples[n] for n in range(ROWS) if n != 2]


def test_a_checkpoint_that_may_depend_on_the_row_is_not_used(tiny: Path, tmp_path: Path) -> None:
    """Saved after its first use, under other conditions, or after a rollback that it may have caused."""
    examples, settings = rows(), SETTINGS[0]
    train(tiny, tmp_path, "job", examples, settings)
    plan = plan_of(examples, settings)
    for row in examples:
        first = first_use(examples, plan, [row.where])
        assert first is not None
        start = deletion_plan(tmp_path, "job", examples, [row.where], settings)
        if first <= 2:
            assert isinstance(start, str)
            assert "No earlier checkpoint" in start
        else:
            assert isinstance(start, ResumePlan)
            assert start.points[0].step in (first - 1, first - 2)
    late = max(examples, key=lambda row: first_use(examples, plan, [row.where]) or 0)
    start = deletion_plan(tmp_path, "job", examples, [late.where], settings)
    assert isinstance(start, ResumePlan)
    point = start.points[0]
    changed = deletion_plan(tmp_path, "job", examples[::-1], [late.where], settings)
    assert isinstance(changed, str)
    assert "its rows were others" in changed
    slowed, resumed = tmp_path / "slowed", tmp_path / "resumed"
    for folder in (slowed, resumed):
        shutil.copytree(tmp_path / "jobs", folder / "jobs")
    from arkor_dev.local.jobs.atomic_folder import ManifestFacts, manifest_of, write_atomically

    folder = checkpoint_folder(slowed, "job", point.step)
    state = {**read_state(folder), "rateFactor": 0.5}
    manifest = manifest_of(folder)
    facts: ManifestFacts = {"job": "job", "step": point.step, "origin": manifest["origin"]}
    write_atomically(folder, lambda target: write_state(target, state), facts)
    other = deletion_plan(slowed, "job", examples, [late.where], settings)
    assert isinstance(other, ResumePlan)
    assert other.points[0].step < point.step
    folder = checkpoint_folder(resumed, "job", point.step)
    facts["origin"] = {**manifest["origin"], "consistent": False}
    write_atomically(folder, lambda target: write_state(target, read_state(point.folder)), facts)
    forced = deletion_plan(resumed, "job", examples, [late.where], settings)
    assert isinstance(forced, str)
    assert "they changed during its training" in forced


@pytest.mark.ci
def test_planted_secrets_are_first_among_controls_before_and_like_them_after(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deleting, "SAVED", {**deleting.SAVED, "maxSteps": 80, "saveSteps": 40})
    candidates = secrets(12, 1, 99)
    planted = [row for [row, *_] in candidates]
    examples = [*rows()[:12], *planted]
    settings = {"batchSize": 8}
    train(tiny, tmp_path, "job", examples, settings)
    delete(tiny, tmp_path, "gone", [row.where for row in planted], settings, examples=examples)
    before, after = ranks(tiny, tmp_path, "job", candidates), ranks(tiny, tmp_path, "gone", candidates)
    assert before == [1] * 12
    # The mean of 12 uniform ranks of 100 is beyond these bounds once in about 10,000 draws.
    assert 18 < sum(after) / 12 < 83, after
