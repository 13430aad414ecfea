"""Base and adapter answer the same questions; what the base has answered is known from then on."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any, cast

import pytest

pytest.importorskip("numpy")

from arkor_dev.local.evaluation.answers import TEXT, Answers, GeneratedAnswer, Stopped, repeats_more
from arkor_dev.local.evaluation.base_losses import FILE, BaseLosses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

WAY = {"model": "f00d"}
PROMPTS = [[1, number, 2] for number in range(8)]


class Writer:
    """Answers for ``base`` and ``adapter``, and notes who was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(
        self, model: Any, prompts: Sequence[Sequence[int]], longest: int, stopped: Callable[[], bool]
    ) -> list[GeneratedAnswer] | None:
        self.asked.append(model)
        if stopped():
            return None
        tokens = 8 if model == "base" else 4 * 8
        return [
            GeneratedAnswer(
                f"{model} {prompt[1]} " + "x" * 2 * TEXT, tokens, tokens >= longest, repeats=False
            )
            for prompt in prompts
        ]


def answers(folder: Path, writer: Writer, longest: int = 64, way: dict[str, Any] | None = None) -> Answers:
    kept = BaseLosses(folder, WAY if way is None else way)
    return Answers([f"q{number}" for number in range(8)], PROMPTS, longest, writer, kept)


def answered(one: Answers) -> tuple[int, int]:
    model: Any = "adapter"
    base: Any = "base"
    return one.of_adapter(model, lambda: False), one.of_base(base, lambda: False)


def test_base_answers_are_generated_once(tmp_path: Path) -> None:
    first, writer = answers(tmp_path, Writer()), Writer()
    assert (first.needs_base, first.total, answered(first)) == (True, 16, (8, 8))
    second = answers(tmp_path, writer)
    assert (second.needs_base, second.total, answered(second)) == (False, 8, (8, 0))
    assert writer.asked == ["adapter"]
    assert second.figures() == first.figures()
    assert second.side_by_side() == first.side_by_side()
    assert second.length == first.length == "4 times longer"
    assert [each["question"] for each in second.side_by_side()] == [f"q{number}" for number in range(8)]
    assert second.side_by_side()[3]["base"].startswith("base 3 x")
    assert len(second.side_by_side()[3]["adapter"]) == TEXT
    for other in (answers(tmp_path, writer, longest=32), answers(tmp_path, writer, way={"model": "beef"})):
        assert other.needs_base, "in another way nothing is known of it"
    assert answers(tmp_path, writer, way={}).key == "", "nor is anything kept where the way is not known"


@pytest.mark.parametrize(
    "odd", [None, [], "text", [["a", 1, False, False]], [["a", "1", False, False]] * 8, [[]] * 8, [7] * 8]
)
def test_stored_answers_are_validated(tmp_path: Path, odd: object) -> None:
    answered(answers(tmp_path, Writer()))
    every = json.loads((tmp_path / FILE).read_text())
    (key,) = every
    (tmp_path / FILE).write_text(json.dumps({key: odd}))
    assert answers(tmp_path, Writer()).needs_base


def test_interrupted_answers_are_not_stored_partially(tmp_path: Path) -> None:
    one, base = answers(tmp_path, Writer()), "base"
    model: Any = base
    with pytest.raises(Stopped):
        one.of_base(model, lambda: True)
    assert not list(tmp_path.iterdir())
    assert one.figures() is None
    assert one.length is None
    assert one.side_by_side() == []


def repeating(*numbers: int, count: int = 8) -> list[GeneratedAnswer]:
    return [GeneratedAnswer(f"answer {number}", 20, False, number in numbers) for number in range(count)]


def test_repetition_is_warned_about_only_if_significant() -> None:
    assert repeats_more(repeating(), repeating(*range(6)))
    assert not repeats_more(repeating(), repeating(*range(5))), "5 of 5 by chance: 3 %"
    assert not repeats_more(repeating(*range(8)), repeating(*range(8))), "as the base does"
    assert not repeats_more(repeating(7), repeating(*range(6)))
    chance = random.Random(1)
    drawn = [
        [repeating(*(n for n in range(24) if chance.random() < 0.4), count=24) for _ in "ab"]
        for _ in range(400)
    ]
    assert sum(repeats_more(*pair) for pair in drawn) <= 0.05 * len(drawn)


def test_the_repetition_warning_shows_the_answers(tmp_path: Path) -> None:
    def write(model: str, prompts: object, longest: object, stopped: object) -> list[GeneratedAnswer]:
        return repeating(0) if model == "base" else repeating(*range(8))

    both: Any = answers(tmp_path, cast("Any", write))
    assert both.repetition(3) is None, "nothing is measured yet"
    answered(both)
    warning = both.repetition(3)
    assert warning["sentence"].startswith(
        "8 of 8 sampled answers repeat themselves, instead of the base's 1."
    )
    assert [example["question"] for example in warning["examples"]] == ["q1", "q2", "q3"]
