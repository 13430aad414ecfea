"""Holds out rows from training, for evaluation."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeGuard

from arkor_dev.contract.rules import counted
from arkor_dev.data.groups import Groups, groups_of
from arkor_dev.local.evaluation.minimums import ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.contract.shapes import EvaluationSplit
    from arkor_dev.data.rows import Row
    from arkor_dev.local.training.job_settings import EffectiveSettings

EVAL_SHARE: Final = 0.1
EVAL_MOST: Final = 32
"""Maximum number of groups held out by default; a single row is a group."""
EVAL_ROWS: Final = 3 * EVAL_MOST
EVAL_FROM: Final = 10
VERDICT_FROM: Final = 3 * ROWS
"""Minimum number of rows to hold out enough groups for a verdict by default: a third of the rows at most."""
HALF: Final = 0.5


@dataclass(frozen=True, slots=True)
class Split:
    """The training rows, and the ``held_out`` ones with their ``groups``; ``facts`` describes the split."""

    train: list[Row]
    held_out: list[Row]
    groups: list[int]
    facts: EvaluationSplit


def split(rows: list[Row], settings: EffectiveSettings) -> Split:
    """Hold out the fraction ``datasetSplit`` of the rows, at least one; none if it is 0 or evaluation is off.

    By default a tenth, but at most 32 groups, and nothing if there are fewer than ten rows. From 24 rows on
    at least 8 groups, which a verdict needs, unless they are more than a third of the rows. Rows of a group
    (the same source, or rewritten from one another) are held out together or not at all.
    """
    share = settings.get("datasetSplit")
    count, most = _held_out_size(len(rows), share, settings)
    chosen: set[int] = set()
    groups = Groups([], None, compared=True)
    if count:
        groups = groups_of(rows, HALF)
        seed = settings.get("splitSeed", settings.get("seed"))
        chosen = _chosen(groups.ids, count, most, seed)
        if not _is_share(share) and len(rows) >= VERDICT_FROM:
            more = _chosen(groups.ids, min(EVAL_ROWS, len(rows) // 3), ROWS, seed)
            of_chosen, of_more = ({groups.ids[n] for n in some} for some in (chosen, more))
            chosen = more if len(of_chosen) < ROWS == len(of_more) else chosen
    settings.resolve("datasetSplit", round(len(chosen) / len(rows), 4))
    train = [row for n, row in enumerate(rows) if n not in chosen]
    of_held = [groups.ids[n] for n in sorted(chosen)]
    facts = _facts(of_held, groups)
    if count and not chosen:
        facts["sentence"] = (
            f"No rows are held out: {'all' if groups.count == 1 else 'most'} of them belong together, so "
            "the training would include them."
        )
    return Split(train, [rows[n] for n in sorted(chosen)], of_held, facts)


def with_held_out(train: list[Row], held_out: list[Row], *, compare: bool) -> Split:
    """Combine training rows with a separate evaluation set.

    ``compare`` drops evaluation rows that overlap with ``train``: those that share a prompt or a group with a
    training row, or are near duplicates of one. If that would drop all, all are kept.
    """
    rows, known = held_out, 0
    if compare and rows:
        group_ids = groups_of([*train, *rows], HALF, guess=False).ids
        trained, of_kept = set(group_ids[: len(train)]), group_ids[len(train) :]
        known = sum(group in trained for group in of_kept)
        if known < len(rows):
            rows = [row for row, group in zip(rows, of_kept, strict=True) if group not in trained]
    groups = groups_of(rows)
    facts = _facts(groups.ids, groups)
    if known:
        facts["leftOut" if known < len(held_out) else "trainedOn"] = known
        facts["sentence"] = _sentence(facts)
    return Split(train, rows, groups.ids, facts)


def _held_out_size(rows: int, share: object, settings: EffectiveSettings) -> tuple[int, int]:
    """Return the number of rows to hold out, and the maximum number of groups."""
    if settings.get("evalSteps") == 0 or rows < 2:
        return 0, 0
    if _is_share(share):
        return (min(rows - 1, max(1, round(rows * share))), rows) if share > 0 else (0, 0)
    return (max(1, min(EVAL_ROWS, int(rows * EVAL_SHARE))), EVAL_MOST) if rows >= EVAL_FROM else (0, 0)


def _is_share(share: object) -> TypeGuard[float]:
    return isinstance(share, int | float) and not isinstance(share, bool)


def _chosen(ids: Sequence[int], count: int, most: int, seed: int) -> set[int]:
    """Choose about ``count`` row indices at random, in at most ``most`` whole groups."""
    members: dict[int, list[int]] = {}
    for index, group in enumerate(ids):
        members.setdefault(group, []).append(index)
    order = list(range(len(ids)))
    random.Random(seed).shuffle(order)  # noqa: S311 - order, not secrecy
    chosen: set[int] = set()
    for group in dict.fromkeys(ids[index] for index in order):
        if most and len(chosen) + len(members[group]) <= count:
            chosen.update(members[group])
            most -= 1
    if not chosen:  # every group is larger: take the smallest, if enough is left to train on
        smallest = min(members.values(), key=len)
        chosen.update(smallest if len(smallest) <= HALF * len(ids) else ())
    return chosen


def small_split_warning(groups: int, *, stops_early: bool) -> str:
    """Return a sentence if ``groups`` held-out rows are too few for a verdict; empty if not.

    If the run ``stops_early``, half of them choose the adapter, and only the others judge it.
    """
    least, why = (2 * ROWS, ", since early stopping chooses by half of them") if stops_early else (ROWS, "")
    if groups >= least:
        return ""
    held = "No row is" if groups == 0 else "Only 1 row is" if groups == 1 else f"Only {groups} rows are"
    needed = f"A verdict about your task needs at least {least}{why}"
    return f"{held} held out. {needed}: raise eval_split, or add rows"


def _facts(ids: Sequence[int], groups: Groups) -> EvaluationSplit:
    facts: EvaluationSplit = {"rows": len(ids), "groups": len(set(ids)), "sentence": ""}
    if groups.column is not None:
        facts["column"] = groups.column
    if not groups.compared:
        facts["notCompared"] = True
    facts["sentence"] = _sentence(facts)
    return facts


def _sentence(facts: EvaluationSplit) -> str:
    rows, sentences = facts["rows"], []
    if "column" in facts:
        sentences.append(
            f"Rows of one {facts['column']} were kept together: {counted(rows, 'held-out row')} of "
            f"{counted(facts['groups'], 'group')}."
        )
    elif facts["groups"] < rows:
        sentences.append(
            "Rows with the same question, near duplicates, and rows made from one passage were kept "
            f"together: {counted(rows, 'held-out row')} of {counted(facts['groups'], 'group')}."
        )
    if left_out := facts.get("leftOut"):
        are = "is" if left_out == 1 else "are"
        sentences.append(
            f"{counted(left_out, 'row')} of the evaluation set {are} left out: the training data has the "
            "same question or a near duplicate."
        )
    if facts.get("trainedOn"):
        sentences.append(
            "All rows of the evaluation set, or near duplicates, are also in the training data: the loss "
            "looks better than the model is."
        )
    if facts.get("notCompared"):
        sentences.append("There are too many rows to search for near duplicates.")
    return " ".join(sentences)
