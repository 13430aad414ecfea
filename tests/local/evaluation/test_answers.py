"""Base and adapter answer the same questions; what the base has answered is known from then on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("numpy")

from arkor_dev.local.evaluation.answers import TEXT, Answered, Answers, Stopped
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
    assert one.side_by_side() == []
