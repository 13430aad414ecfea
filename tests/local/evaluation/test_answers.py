"""Base and adapter answer the same questions; what the base has answered is known from then on."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("numpy")

from arkor_dev.local.evaluation.answers import TEXT, Answered, Answers, EndMarks, Stopped, chance
from arkor_dev.local.evaluation.base_losses import FILE, BaseLosses
from arkor_dev.local.modeling.example import Example

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
    ) -> list[Answered] | None:
        self.asked.append(model)
        if stopped():
            return None
        tokens = 8 if model == "base" else 4 * 8
        return [
            Answered(f"{model} {prompt[1]} " + "x" * 2 * TEXT, tokens, tokens >= longest, repeats=False)
            for prompt in prompts
        ]


def answers(folder: Path, writer: Writer, longest: int = 64, way: dict[str, Any] | None = None) -> Answers:
    kept = BaseLosses(folder, WAY if way is None else way)
    return Answers([f"q{number}" for number in range(8)], PROMPTS, longest, writer, kept)


def answered(one: Answers) -> tuple[int, int]:
    model: Any = "adapter"
    base: Any = "base"
    return one.of_adapter(model, lambda: False), one.of_base(base, lambda: False)


def test_the_base_answers_once_for_all_runs(tmp_path: Path) -> None:
    first, writer = answers(tmp_path, Writer()), Writer()
    assert (first.needs_base, first.total, answered(first)) == (True, 16, (8, 8))
    second = answers(tmp_path, writer)
    assert (second.needs_base, second.total, answered(second)) == (False, 8, (8, 0))
    assert writer.asked == ["adapter"]
    assert second.figures() == first.figures()
    assert second.beside() == first.beside()
    assert second.length == first.length == "4 times longer"
    assert [each["question"] for each in second.beside()] == [f"q{number}" for number in range(8)]
    assert second.beside()[3]["base"].startswith("base 3 x")
    assert len(second.beside()[3]["adapter"]) == TEXT
    for other in (answers(tmp_path, writer, longest=32), answers(tmp_path, writer, way={"model": "beef"})):
        assert other.needs_base, "in another way nothing is known of it"
    assert answers(tmp_path, writer, way={}).key == "", "nor is anything kept where the way is not known"


@pytest.mark.parametrize(
    "odd", [None, [], "text", [["a", 1, False, False]], [["a", "1", False, False]] * 8, [[]] * 8, [7] * 8]
)
def test_what_is_kept_is_looked_at(tmp_path: Path, odd: object) -> None:
    answered(answers(tmp_path, Writer()))
    every = json.loads((tmp_path / FILE).read_text())
    (key,) = every
    (tmp_path / FILE).write_text(json.dumps({key: odd}))
    assert answers(tmp_path, Writer()).needs_base


def test_it_stops_between_and_keeps_nothing_half(tmp_path: Path) -> None:
    one, base = answers(tmp_path, Writer()), "base"
    model: Any = base
    with pytest.raises(Stopped):
        one.of_base(model, lambda: True)
    assert not list(tmp_path.iterdir())
    assert one.figures() is None
    assert one.length is None
    assert one.beside() == []


CUT = EndMarks(96, 40, 56, 256)


@pytest.mark.parametrize(
    ("base", "adapter", "marks", "says"),
    [
        (0, 8, CUT, "truncated at max_length = 256"),
        (1, 8, EndMarks(96, 40, 0, 256), "the chat template writes none"),
        (0, 8, EndMarks(96, 96, 0, 256), ""),  # long answers, which end where they should
        (0, 6, CUT, ""),  # it might be chance: 1 in 64
        (8, 8, CUT, ""),  # the base doesn't stop either
        (0, 8, None, ""),
    ],
)
def test_an_adapter_that_unlearned_to_stop_is_named_with_the_cause(
    base: int, adapter: int, marks: EndMarks | None, says: str
) -> None:
    def write(model: Any, prompts: Any, *_: object) -> list[Answered]:
        cut = base if model == "base" else adapter
        return [Answered("word", 64, place < cut, repeats=False) for place in range(len(prompts))]

    one = Answers([f"q{number}" for number in range(8)], PROMPTS, 64, write, marks=marks)
    answered(one)
    warning = one.unending()
    assert bool(warning) == bool(says)
    if warning:
        assert says in warning["sentence"]
        assert f"{adapter} of its 8 answers" in warning["sentence"]
        assert len(warning["examples"]) == 3


def test_equal_answers_are_almost_never_called_unending() -> None:
    draws = random.Random(1)
    called = 0
    for _ in range(1000):
        differing = [draws.random() < 0.5 for _ in range(16) if draws.random() < 0.5]
        called += chance(sum(differing), len(differing)) <= 0.01
    assert called <= 20


def test_end_marks_are_counted_in_what_is_learned() -> None:
    ended, with_break = Example([1, 2, 9], [-100, 2, 9]), Example([1, 9, 5, 7], [-100, 9, 5, -100])
    cut, before_the_answer = Example([1, 2, 3], [-100, 2, 3]), Example([9, 2, 3], [-100, 2, 3])
    replayed, prompt = replace(ended, replayed=True), Example([1, 9], [-100, -100])
    examples = [ended, with_break, cut, before_the_answer, replayed, prompt]
    assert EndMarks.of(examples, [9], truncated=2, longest=3) == (4, 2, 2, 3)
