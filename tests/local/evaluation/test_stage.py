"""The comparison as a stage: what is measured, in which batches, and what a second run saves."""

from __future__ import annotations

import math
import random
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("numpy")

from arkor_dev.data.rows import Row
from arkor_dev.local.evaluation.answers import Answers, GeneratedAnswer, Stopped
from arkor_dev.local.evaluation.base_losses import BaseLosses
from arkor_dev.local.evaluation.by_length import batches_by_length, lengths_of, measured
from arkor_dev.local.evaluation.end_marks import EndMarks
from arkor_dev.local.evaluation.paired import compare
from arkor_dev.local.evaluation.preferred import preferred
from arkor_dev.local.evaluation.stage import DRY, PACKED, PADDED, TOGETHER, Stage, again_of
from arkor_dev.local.modeling.example import Example
from arkor_dev.local.workers.errors import JobFailure
from tests.support.in_ci import in_ci

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from arkor_dev.local.evaluation.results import Scores


def examples(lengths: Sequence[int], first: int = 0) -> list[Example]:
    return [
        Example([first + number, *range(length - 1)], [-100, *range(length - 1)])
        for number, length in enumerate(lengths)
    ]


HELD = examples([5, 40, 7, 38, 6, 39, 8, 41, 5, 37])
GENERAL = examples([12, 30, 13, 31] * 6, first=500)


class Model:
    """Its loss of a row is its first token's number, moved by ``by``; it counts the tokens that it reads."""

    def __init__(self, by: float) -> None:
        self.by, self.read, self.wide, self.batches = by, 0, 0, list[list[int]]()
        self.entered = 0

    def row_losses(self, rows: Sequence[Any]) -> list[tuple[float, float]]:
        self.read += sum(len(row.ids) for row in rows)
        self.wide += len(rows) * max(len(row.ids) for row in rows)
        self.batches.append([row.ids[0] for row in rows])
        return [((1 + row.ids[0] / 100 + self.by) * (len(row.ids) - 1), len(row.ids) - 1) for row in rows]

    cross_entropy = row_losses
    device = "cpu"

    def answering(self) -> AbstractContextManager[Any]:
        raise NotImplementedError

    def pop_answers(self) -> dict[str, str]:
        return {}

    def margins(self, rows: Sequence[Any]) -> list[float]:
        """One in five rows goes the wrong way."""
        return [self.by * (1 if row.ids[0] % 5 else -1) for row in rows]

    @contextmanager
    def later(self) -> Iterator[Any]:
        self.entered += 1
        yield self


def stage(**more: Any) -> Stage:
    rows = [
        Row([{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": "a"}], f"line {n}")
        for n in range(len(HELD))
    ]
    given: dict[str, Any] = {
        "rows": rows,
        "groups": list(range(len(rows))),
        "held_out": HELD,
        "general": GENERAL,
        "batch": 4,
        "progress": lambda *_: None,
        "cancelled": lambda: False,
    }
    return Stage(**{**given, **more})


def test_stored_losses_save_half_of_the_tokens(tmp_path: Path) -> None:
    """The adapter's losses on the held-out rows are known in both: they are those of the last evaluation."""
    known = [1 + row.ids[0] / 100 - 0.5 for row in HELD]
    way = {"model": "f00d"}
    seen = []
    for _ in range(2):
        adapter, base = Model(-0.5), Model(0.0)
        said: list[tuple[Any, ...]] = []
        kept = BaseLosses(tmp_path, way)
        told = {"known": known, "cache": kept, "progress": lambda *now, said=said: said.append(now)}
        judged = stage(**told).run(adapter, base.later())
        seen.append((adapter.read + base.read, base.entered, judged.evaluation, judged.rows, said[-1]))
    first, second = seen
    general, held = (sum(len(row.ids) for row in rows) for rows in (GENERAL, HELD))
    assert first[0] == 2 * general + 2 * held, "the base's held-out rows twice, for the noise floor"
    assert second[0] == general
    assert (first[1], second[1]) == (1, 0), "where all of the base is known it is not even loaded"
    for one in (first, second):
        one[2].pop("seconds")
    assert first[2:4] == second[2:4]
    assert first[4] == ("Evaluating", 68, 68, "rows")
    assert second[4] == ("Evaluating", 24, 24, "rows")
    assert first[2]["heldOut"]["difference"]["mean"] == pytest.approx(0.5)


def test_rows_with_several_examples_count_once(tmp_path: Path) -> None:
    """With the mean over all of its tokens; known of the base, it is put together in the same way."""
    second = Example([60, *range(2)], [-100, *range(2)], same_row=True)
    held = [HELD[0], second, *HELD[1:]]
    for _ in range(2):
        told = {"held_out": held, "cache": BaseLosses(tmp_path, {"model": "f00d"})}
        judged = stage(**told).run(Model(-0.5), Model(0.0).later())
        assert judged.evaluation["heldOut"]["rows"] == len(HELD) == len(judged.rows)
        row = judged.rows[0]
        assert (row["tokens"], row["base"]) == (4 + 2, round((4 * 1.0 + 2 * 1.6) / 6, 5))
        assert judged.rows[1]["base"] == round(1 + HELD[1].ids[0] / 100, 5)


def test_base_and_adapter_get_the_same_batches(tmp_path: Path) -> None:
    adapter, base = Model(-0.5), Model(0.0)
    judged = stage(cache=BaseLosses(tmp_path, {"model": "f00d"})).run(adapter, base.later())
    again = base.batches[len(adapter.batches) :]
    assert adapter.batches == base.batches[: len(adapter.batches)]
    assert sorted(number for batch in again for number in batch) == list(range(10)), (
        "each held-out row once more"
    )
    assert not [batch for batch in again if batch in adapter.batches], "each beside others than before"
    plain = [
        rows[at : at + size] for rows, size in ((HELD, 4), (GENERAL, 8)) for at in range(0, len(rows), size)
    ]
    as_they_come = sum(len(rows) * max(len(row.ids) for row in rows) for rows in plain)
    assert adapter.wide < 0.85 * as_they_come, "less of a batch is padding"
    assert [row["base"] for row in judged.rows] == [round(1 + n / 100, 5) for n in range(10)]
    assert [row["adapter"] for row in judged.rows] == [round(0.5 + n / 100, 5) for n in range(10)]
    assert judged.scores["adapter"] == [round(0.5 + n / 100, 6) for n in range(10)]


@pytest.mark.parametrize("batch", [1, 4, 8, 64])
def test_rows_are_measured_again_beside_others_whatever_the_batch(batch: int) -> None:
    """Also if all rows fit into one batch: beside the same rows, nothing would be rounded anew."""
    lengths = [len(row.ids) for row in HELD]
    first = [set(rows) for rows in batches_by_length(lengths, batch)]
    again = [{places[index] for index in rows} for places, laid in [again_of(HELD, batch)] for rows in laid]
    assert sorted(index for rows in again for index in rows) == list(range(10))
    assert batch == 1 or not [rows for rows in again if rows in first]


@pytest.mark.parametrize(("count", "again"), [(1, 1), (12, 12), (13, 12), (14, 12), (20, 12), (1000, 12)])
def test_twelve_held_out_rows_are_measured_again_if_there_are_as_many(count: int, again: int) -> None:
    places, _ = again_of(HELD[:1] * count, 4)
    assert len(set(places)) == again
    assert set(places) <= set(range(count))


def test_packed_questions_fill_a_batch() -> None:
    """Tokens alone bound a packed batch: without padding, its rows may be of any number and length."""
    adapter, base = Model(-0.5), Model(0.0)
    asked = examples([60, 5, 40] * 30, first=500)
    stage(general=asked, packed=True).run(adapter, base.later())
    sizes = [len(numbers) for numbers in base.batches if numbers[0] >= 500]
    assert sizes == [PACKED // 60, PACKED // 40, 5]


@pytest.mark.parametrize("batch", [1, 4, 64])
@pytest.mark.parametrize("lengths", [[5] * 100, [30, 60, 90] * 20, [300, 8, 8, 700, 8]])
def test_batches_of_general_questions_are_bounded_by_tokens(batch: int, lengths: list[int]) -> None:
    """By the tokens of a batch, its padding included; a question that is longer by itself is alone."""
    adapter, base = Model(-0.5), Model(0.0)
    asked = examples(lengths, first=500)
    stage(batch=batch, general=asked).run(adapter, base.later())
    size = {row.ids[0]: len(row.ids) for row in asked}
    for model in (adapter, base):
        general = [numbers for numbers in model.batches if numbers[0] in size]
        assert sorted(number for numbers in general for number in numbers) == sorted(size)
        for numbers in general:
            padded = len(numbers) * max(size[number] for number in numbers)
            assert len(numbers) <= TOGETHER
            assert padded <= PADDED or len(numbers) == 1


def test_base_answers_are_stored(
    tmp_path: Path,
) -> None:
    def write(model: Any, prompts: Sequence[Any], longest: int, stopped: object) -> list[GeneratedAnswer]:
        tokens = 48 if model.by else 12
        return [
            GeneratedAnswer(f"{tokens} words", tokens, truncated=False, repeats=tokens > 40) for _ in prompts
        ]

    seen: list[tuple[int, Any, Any]] = []
    for _ in range(2):
        kept, said = BaseLosses(tmp_path, {"model": "f00d"}), list[tuple[Any, ...]]()
        asked = Answers([f"q{n}" for n in range(8)], [[1, n] for n in range(8)], 64, write, kept)
        adapter, base = Model(0.5), Model(0.0)
        told = {"cache": kept, "answered": asked, "progress": lambda *now, said=said: said.append(now)}
        measuring = stage(**told)
        measuring.prepare()
        assert measuring.to_write == [(8, 64, True), *[(8, 64, False)] * (not seen)], (
            "the base's are known then"
        )
        assert measuring.to_read > 0
        judged = measuring.run(adapter, base.later())
        assert (measuring.to_read, measuring.to_write) == (0, []), "what is left is nothing at the end"
        seen.append((base.entered, said[-1][1:3], judged))
    assert [each[:2] for each in seen] == [(1, (94, 94)), (0, (42, 42))]
    for _, _, judged in seen:
        general = judged.evaluation["general"]
        assert general["sentence"].startswith(
            "General questions: worse, loss 6.61 vs. 6.11 for the base on 24 questions; 99 % interval"
        )
        assert general["sentence"].endswith("0.50 to 0.50; its answers are 4 times longer.")
        assert judged.evaluation["sentence"] == (
            "Worse at your task (1.0450 → 1.5450, only 10 rows) and in general (6.11 → 6.61)."
        )
        assert general["answers"]["adapter"]["repeating"] == 8
        assert judged.answers[7] == {"question": "q7", "base": "12 words", "adapter": "48 words"}
    without = stage().run(Model(0.5), Model(0.0).later())
    assert "answers" not in without.evaluation["general"]
    assert without.answers == []


def test_measurement_noise_is_no_difference() -> None:
    """The base is measured twice: where that alone moves its mean by 0.1, a gain of 0.05 does not matter."""

    @contextmanager
    def moved(model: Model) -> Iterator[Model]:
        yield Model(model.by + 0.1)

    sure = stage(margin=0.01).run(Model(-0.05), Model(0.0).later()).evaluation
    assert (sure["verdict"], sure["margin"], sure["noiseFloor"]) == ("better", 0.01, 0.0)
    told = stage(margin=0.01, remeasuring=moved).run(Model(-0.05), Model(0.0).later()).evaluation
    assert told["noiseFloor"] == told["margin"] == pytest.approx(0.1)
    assert told["sentence"] == "No difference that matters at your task (only 10 rows), and none in general."
    own = stage(margin=0.2).run(Model(-0.15), Model(0.0).later()).evaluation
    assert (own["verdict"], own["margin"]) == ("same", 0.2)


def test_losses_are_returned_in_row_order() -> None:
    model = Model(0.0)
    found = measured(model.row_losses, HELD, 3)
    assert [round(100 * (loss / count - 1)) for loss, count in found] == list(range(10))
    assert sorted(place for places in batches_by_length(lengths_of(HELD), 3) for place in places) == list(
        range(10)
    )
    assert [len(places) for places in batches_by_length(lengths_of(HELD), 3)] == [3, 3, 3, 1]
    assert batches_by_length([], 3) == batches_by_length([], 3, 10) == []
    assert [len(places) for places in batches_by_length(lengths_of(HELD), 3, 80)] == [1, 2, 2, 3, 2]


def test_rows_are_identified_by_text_and_tokens() -> None:
    def scores(**more: Any) -> Scores:
        return stage(general=[], **more).run(Model(0.0), Model(0.0).later()).scores

    told = scores()
    assert scores() == told
    other_tokens = scores(held_out=[Example([99, *HELD[0].ids[1:]], HELD[0].labels), *HELD[1:]])
    assert (other_tokens["rows"], other_tokens["tokens"] == told["tokens"]) == (told["rows"], False)
    rows = [Row([{"role": "user", "content": "q"}, {"role": "assistant", "content": "b"}], "") for _ in HELD]
    other_rows = scores(rows=rows, groups=[3] * len(HELD))
    assert (other_rows["rows"] == told["rows"], other_rows["tokens"]) == (False, told["tokens"])
    assert told["groups"] == list(range(10))
    assert other_rows["groups"] == [0] * 10


def test_end_marks_are_measured_beside_their_questions_and_are_not_questions(tmp_path: Path) -> None:
    """A packed batch computes the tokens of the two once. A second run knows the base's."""
    questions = [replace(row, where=f"general question {number}") for number, row in enumerate(GENERAL, 1)]
    ended = questions[::2]
    marks = [Example([row.ids[0], 3], [-100, 3], row.where) for row in ended]
    found = []
    for _ in range(2):
        adapter, base = Model(0.25), Model(0.0)
        counted = EndMarks(rows=9, ended=9)
        given = {"general": questions, "stops": marks, "marks": counted}
        judged = stage(**given, cache=BaseLosses(tmp_path, {"model": "f00d"})).run(adapter, base.later())
        found.append(judged.evaluation)
        batches = [batch for batch in adapter.batches if max(batch) >= 500]
        for mark in marks:
            assert any(batch.count(mark.ids[0]) == 2 for batch in batches), "in another batch"
    assert base.entered == 0
    for evaluation in found:
        of_marks = [1 + row.ids[0] / 100 for row in marks]
        assert evaluation["stopping"]["base"] == round(math.exp(-sum(of_marks) / len(marks)), 5)
        of_questions = [1 + row.ids[0] / 100 for row in questions]
        assert evaluation["general"]["rows"] == len(questions)
        assert evaluation["general"]["base"] == pytest.approx(sum(of_questions) / len(questions), abs=1e-5)


def test_the_verdict_is_reported_before_general_questions_are_answered() -> None:
    order: list[str] = []
    reported: list[Any] = []

    def write(model: Any, prompts: Sequence[Any], longest: int, stopped: object) -> list[GeneratedAnswer]:
        order.append("adapter answers" if model.by else "base answers")
        return [GeneratedAnswer("", 12, truncated=False, repeats=False) for _ in prompts]

    def report(judged: Any) -> None:
        order.append("verdict")
        reported.append(judged)

    asked = Answers([f"q{n}" for n in range(8)], [[1, n] for n in range(8)], 64, write)
    judged = stage(answered=asked).run(Model(-0.5), Model(0.0).later(), report)
    assert order == ["verdict", "base answers", "adapter answers"]
    (first,) = reported
    without, whole = first.evaluation.copy(), judged.evaluation.copy()
    answers = whole["general"].pop("answers")
    assert answers["count"] == 8
    without.pop("seconds")
    whole.pop("seconds")
    assert without == whole
    assert (first.rows, first.scores) == (judged.rows, judged.scores)
    assert (len(first.answers), len(judged.answers)) == (0, 8)


def test_a_stop_between_the_verdict_and_its_answers_leaves_the_verdict_reported() -> None:
    reported: list[Any] = []
    asked = Answers(["q"], [[1]], 64, lambda *_: None)
    with pytest.raises(Stopped):
        stage(answered=asked).run(Model(-0.5), Model(0.0).later(), reported.append)
    assert [judged.evaluation["verdict"] for judged in reported] == ["better"]


def test_without_questions_to_answer_the_verdict_is_not_reported_early() -> None:
    reported: list[Any] = []
    stage().run(Model(-0.5), Model(0.0).later(), reported.append)
    assert reported == []


def test_an_interrupted_measurement_stores_nothing(tmp_path: Path) -> None:
    asked = iter([False, False, True])
    kept = BaseLosses(tmp_path, {"model": "f00d"})
    judging = stage(known=[1.0] * 10, cache=kept, general=[], cancelled=lambda: next(asked))
    with pytest.raises(Stopped):
        judging.run(Model(0.0), Model(0.0).later())
    assert not list(tmp_path.iterdir())


def test_a_non_finite_loss_fails_the_comparison(tmp_path: Path) -> None:
    with pytest.raises(JobFailure, match="not a number"):
        stage(cache=BaseLosses(tmp_path, {"model": "f00d"})).run(Model(0.0), Model(float("nan")).later())
    assert not [path for path in tmp_path.iterdir() if "nan" in path.read_text().lower()]


def test_a_dry_run_has_no_verdict() -> None:
    judged = stage(dry=True).run(Model(-0.001), Model(0.0).later()).evaluation
    assert (judged["verdict"], judged["sentence"]) == ("unclear", DRY)
    for part in (judged["heldOut"], judged["general"]):
        assert "settle" not in part["sentence"]


class Rewarded(Model):
    """Scores each row by chance, plus ``by``."""

    def __init__(self, by: float, seed: int, general: float = 0.0) -> None:
        super().__init__(general)
        self.chance, self.more = random.Random(seed), by

    def row_losses(self, rows: Sequence[Any]) -> list[tuple[float, float]]:
        return [(-self.chance.random() - self.more, 1) for _ in rows]

    def pop_answers(self) -> dict[str, str]:
        return {f"line {number}": f"says {self.more:g}" for number in range(len(HELD))}


def rewarded(adapter: Rewarded, base: Rewarded) -> Any:
    measure = {"label": "Mean reward", "unit": "", "higher": True}
    return stage(measure=measure, margin=0.01, written=[(10, 8)]).run(adapter, base.later())


def test_random_rewards_are_no_difference() -> None:
    verdicts = [
        rewarded(Rewarded(0, seed), Rewarded(0, 100 + seed)).evaluation["heldOut"]["verdict"]
        for seed in range(40)
    ]
    assert sum(verdict in ("better", "worse") for verdict in verdicts) <= 2


def test_a_reward_gain_with_general_harm_is_warned_about() -> None:
    judged = rewarded(Rewarded(5, 1, general=1.0), Rewarded(0, 2))
    task, warning = judged.evaluation["heldOut"], judged.evaluation["warning"]
    assert judged.evaluation["verdict"] == "mixed"
    assert task["adapter"] > task["base"] > 0
    assert task["difference"]["low"] > 1
    assert "better, mean reward 5." in task["sentence"]
    assert "general questions got worse" in warning["sentence"]
    assert "reward hacking" in warning["sentence"]
    assert len(warning["examples"]) == 3
    assert warning["examples"][0]["adapter"] == "says 5"
    assert judged.rows[0]["baseAnswer"] == "says 0"
    assert judged.rows[0]["adapter"] > judged.rows[0]["base"]
    assert "warning" not in rewarded(Rewarded(5, 1), Rewarded(0, 2)).evaluation


class Succeeding(Model):
    """Gets a reward of 1 for the first of the rows, and 0 for the others."""

    def __init__(self, successes: int, reward: float = 1) -> None:
        super().__init__(0)
        self.successes, self.reward = successes, reward

    def row_losses(self, rows: Sequence[Any]) -> list[tuple[float, float]]:
        return [(-self.reward * (row.ids[0] < self.successes), 1) for row in rows]


def succeeding(base: int, adapter: int, reward: float = 1, **more: Any) -> Any:
    facts: dict[str, Any] = {
        "rows": [*stage().rows] * 4,
        "groups": list(range(40)),
        "held_out": examples([6] * 40),
        "general": [],
        "measure": {"label": "Mean reward", "unit": "", "higher": True},
    }
    models = Succeeding(adapter, reward), Succeeding(base, reward)
    judged = stage(**facts | more).run(models[0], models[1].later())
    return judged.evaluation["heldOut"]


def test_rewards_of_0_or_1_are_success_rates() -> None:
    task = succeeding(12, 31, acts=True)
    low, high = task["difference"]["low"], task["difference"]["high"]
    assert task["sentence"].startswith(
        "Your task: better, reached the goal in 31 of 40 held-out episodes vs. 12 for the base; 95 % "
        f"interval of the difference {low:.2f} to {high:.2f}."
    )
    assert 0.2 < low < 19 / 40 < high < 0.7
    assert (task["base"], task["adapter"], task["verdict"]) == (0.3, 0.775, "better")
    assert task["measure"] == {"label": "Reached the goal", "unit": "", "higher": True, "rate": True}
    assert "rate" not in succeeding(12, 31, 0.5)["measure"]
    assert "reward 1 for 31 of 40 held-out answers vs. 12" in succeeding(12, 31)["sentence"]
    assert (
        "in 31 of 40 held-out episodes in 20 groups"
        in succeeding(12, 31, acts=True, groups=[number // 2 for number in range(40)])["sentence"]
    )


def test_a_success_rate_with_few_changes_is_unclear() -> None:
    """Five of 40 rows gained by one model alone happen once in 16 times by chance (McNemar's test)."""
    assert succeeding(12, 17)["verdict"] == "unclear"
    assert succeeding(0, 40)["difference"]["low"] < 1, "40 of 40 episodes are a sample, too"


def test_partial_rewards_and_zeros_are_means() -> None:
    assert "better, mean reward 0.39 vs. 0.15 for the base" in succeeding(12, 31, 0.5)["sentence"]
    assert "mean reward 0.00 vs. 0.00 for the base" in succeeding(0, 0, acts=True)["sentence"]


def of_preferences(count: int, **more: Any) -> Stage:
    rows = [
        Row([{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": "a"}], f"line {n}")
        for n in range(count)
    ]
    facts: dict[str, Any] = {"rows": rows, "groups": list(range(count)), "held_out": examples([6] * count)}
    return stage(**{**facts, **more}, preference="pair", general=[])


def test_preferences_are_judged_by_accuracy() -> None:
    """Larger losses do not matter, since these grow with the spread of the margins alone."""
    judged = of_preferences(40, relative=True).run(Model(1.0), Model(0.0).later())
    task = judged.evaluation["heldOut"]
    assert task["adapter"] > task["base"]
    assert (task["preferred"]["won"], task["preferred"]["of"]) == (32, 40)
    assert judged.evaluation["verdict"] == task["verdict"] == "better"
    assert (
        "it follows 32 of 40 held-out pairs more than its start does (80 %, 95 % interval 65 to 90 %)"
        in (task["sentence"])
    )
    assert (
        of_preferences(40, relative=True).run(Model(-1.0), Model(0.0).later()).evaluation["verdict"]
        == "worse"
    )
    # Without a reference, the start's own margins are subtracted.
    same = of_preferences(40).run(Model(1.0), Model(1.0).later()).evaluation
    assert (same["verdict"], same["heldOut"]["preferred"]["won"]) == ("unclear", 20)
    assert same["sentence"] == "No clear difference at your task."


def test_length_bias_of_preferences_is_reported() -> None:
    def judged(apart: Callable[[int], int]) -> Any:
        rows = [
            replace(row, others=(Example([1] * (7 - apart(n)), [1] * (7 - apart(n))),))
            for n, row in enumerate(examples([7] * 40))
        ]
        task = of_preferences(40, relative=True, held_out=rows).run(Model(1.0), Model(0.0).later())
        return task.evaluation["heldOut"]

    # One pair in five is not followed.
    alike = judged(lambda n: (-3, 3)[n % 2])
    assert alike["preferred"]["equalLength"]["share"] == pytest.approx(0.8, abs=0.01)
    assert "It is not length alone: with both answers equally long it would be 80 % (" in alike["sentence"]
    explained = judged(lambda n: -3 if n % 5 else 3)
    assert explained["preferred"]["won"] == 32
    assert "Length alone may explain it: with both answers" in explained["sentence"]
    assert explained["verdict"] == "better", "short answers may be what is wanted"


def test_fewer_than_eight_preferences_are_inconclusive() -> None:
    judged = of_preferences(7, relative=True).run(Model(1.0), Model(0.0).later()).evaluation
    assert judged["verdict"] == "unclear"
    assert judged["sentence"] == "Too few pairs to judge it at your task (only 7)."
    assert judged["heldOut"]["sentence"].endswith("A verdict needs at least 8.")
    # As many as a small data set holds out by default.
    margins = [1 + n / 10 for n in range(8)]
    losses, start = compare(margins, [0.0] * 8), [0.0] * 8
    assert preferred("pair", losses, start, margins, range(8)).verdict == "better"
    assert preferred("pair", losses, start, [-1.0, *margins[1:]], range(8)).verdict == "unclear"


@pytest.mark.parametrize("count", [8, in_ci(24)])
@pytest.mark.parametrize("skewed", [False, True])
def test_random_preferences_are_no_difference(count: int, skewed: bool) -> None:
    """The mean margin of an adapter that learned nothing is zero: 19 in 20 repeats find no difference."""
    chance, said = random.Random(7), []
    losses = compare([0.0] * count, [0.0] * count)  # of which the verdict says nothing
    for _ in range(200):
        margins = [
            chance.lognormvariate(0, 1) - math.exp(0.5) if skewed else chance.gauss(0, 1)
            for _ in range(count)
        ]
        said.append(preferred("pair", losses, [0.0] * count, margins, range(count)).verdict)
    assert said.count("unclear") >= (0.95 if skewed else 0.975) * len(said)
