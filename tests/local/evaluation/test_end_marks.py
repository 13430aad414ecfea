"""Whether training taught a model to stop: what the rows teach, and how likely both models do."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("numpy")

from arkor_dev.local.evaluation.end_marks import EndMarks, stops
from arkor_dev.local.evaluation.paired import compare
from arkor_dev.local.modeling.example import Example

ENDED, WITH_BREAK = Example([1, 2, 9], [-100, 2, 9]), Example([1, 9, 5, 7], [-100, 9, 5, -100])
CUT, EARLIER = Example([1, 2, 3], [-100, 2, 3]), Example([9, 2, 3, 4], [-100, 2, 3, 4])
TRUNCATED = EndMarks(96, 40, 56, 256)


def test_examples_with_an_end_token_are_counted() -> None:
    others = [replace(ENDED, replayed=True), Example([1, 9], [-100, -100])]
    assert EndMarks.of([ENDED, WITH_BREAK, CUT, EARLIER, *others], [9], 2, 3) == (4, 2, 2, 3)


def test_only_the_end_token_is_measured() -> None:
    found = list(stops([ENDED, WITH_BREAK, CUT, EARLIER], [8, 9]))
    assert found == [Example([1, 2, 9], [-100, -100, 9]), Example([1, 9], [-100, 9])]


@pytest.mark.parametrize(
    ("adapter", "marks", "cause"),
    [
        (3.0, TRUNCATED, "truncated at max_length = 256"),
        (3.0, EndMarks(96, 40, 0, 256), "the chat template writes none"),
        (3.0, EndMarks(96, 96, 0, 256), None),  # it learned long answers, each with its end
        (0.6, TRUNCATED, None),  # no clear difference
        (0.1, TRUNCATED, None),
    ],
)
def test_an_adapter_that_no_longer_stops_is_explained(
    adapter: float, marks: EndMarks, cause: str | None
) -> None:
    spread = [0.2 * (place % 5) for place in range(16)]
    base = [0.4 + each for each in spread]
    told = marks.compared(compare(base, [adapter + each for each in spread[::-1]]))
    assert told["base"] > 0.4
    assert f"{marks.ended} of 96 training examples end with an end mark" in told["sentence"]
    assert cause is None if told.get("cause") is None else cause is not None and cause in told["cause"]


def test_sampling_methods_have_no_end_tokens_to_count() -> None:
    told = EndMarks().compared(compare([0.4] * 12, [3.0] * 12))
    assert told["sentence"].endswith("the base with 67 %.")
    assert "cause" not in told
