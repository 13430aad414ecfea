"""What answers say of a model: which repeat themselves or refuse, how long they are, what is only chance."""

from __future__ import annotations

import pytest

pytest.importorskip("numpy")

from arkor_dev.local.evaluation.answers import GeneratedAnswer, length_words, rates, repeats_itself


def of_lengths(*tokens: int, cut: int = 10_000) -> list[GeneratedAnswer]:
    return [GeneratedAnswer("words", min(count, cut), count > cut, repeats=False) for count in tokens]


@pytest.mark.parametrize(
    ("ids", "repeats"),
    [
        ([*range(40)], False),
        ([1, 2, 3, 4, 5] * 8, True),
        ([*range(20), *[7, 8, 9] * 8], True),
        ([*range(24), *range(24)], True),
        ([*range(30), 3, 4, 5, 6, 7, 8], False),
        ([1] * 6, False),  # too short to tell
        ([1] * 20, True),
        ([], False),
    ],
)
def test_repetition_in_answers_is_detected(ids: list[int], repeats: bool) -> None:
    assert repeats_itself(ids) is repeats


@pytest.mark.parametrize(
    ("text", "refuses"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("I\u2019m sorry, but that is not possible.", True),
        ("As an AI language model, I do not have opinions.", True),
        ("I cannot provide medical advice.", True),
        ("I am not able to do that.", True),
        ("Unable to assist with this request.", True),
        ("The capital of France is Paris.", False),
        ("I can't wait to tell you: it is Paris.", False),
        ("Sorry is a word of two syllables.", False),
        ("A spider has eight legs. " * 10 + "I'm sorry, but I can't help with that.", False),
        ("", False),
    ],
)
def test_refusals_are_detected_by_their_beginning(text: str, refuses: bool) -> None:
    assert GeneratedAnswer(text, 5, truncated=False, repeats=False).refuses is refuses


@pytest.mark.parametrize(
    ("base", "adapter", "words"),
    [
        (of_lengths(*[12] * 8), of_lengths(*[48] * 8), "4 times longer"),
        (of_lengths(*range(10, 26)), of_lengths(*range(30, 46)), "2.1 times longer"),
        (of_lengths(*[30, 34] * 4), of_lengths(*[6, 5] * 4), "5.8 times shorter"),
        (of_lengths(*[12] * 8), of_lengths(*[90] * 8, cut=64), "at least 5.3 times longer"),
        (of_lengths(*[90] * 8, cut=64), of_lengths(*[4] * 8), "at least 16 times shorter"),
        (of_lengths(*[20] * 8), of_lengths(*[22] * 8), None),  # little
        (of_lengths(10, 40, 12, 9, 50, 8, 11, 30), of_lengths(40, 10, 9, 12, 8, 50, 30, 31), None),  # chance
        (of_lengths(*[12] * 7), of_lengths(*[48] * 7), None),  # too few to tell
        (of_lengths(*[0] * 8), of_lengths(*[30] * 8), "30 times longer"),
    ],
)
def test_longer_answers_are_reported_if_significant(
    base: list[GeneratedAnswer], adapter: list[GeneratedAnswer], words: str | None
) -> None:
    assert length_words(base, adapter) == words


def test_answer_statistics_are_worded() -> None:
    base = [
        *of_lengths(10, 20, 12),
        GeneratedAnswer("I cannot help with that.", 8, truncated=False, repeats=False),
    ]
    adapter = [GeneratedAnswer("Ahoy.", 64, truncated=True, repeats=True)] * 3 + of_lengths(20)
    told = rates(base, adapter, 64)
    assert told["base"] == {"tokens": 12.5, "truncated": 0, "repeating": 0, "refusing": 1}
    assert told["adapter"] == {"tokens": 53.0, "truncated": 3, "repeating": 3, "refusing": 0}
    assert (told["count"], told["longest"]) == (4, 64)
    assert told["sentence"] == (
        "Its 4 sampled answers have 53 tokens on average, the base's 12 (cut after 64: 3, base 0); "
        "3 repeat themselves (base 0); 0 refuse (base 1)."
    )
    assert "cut after" not in rates(base, base, 64)["sentence"]
    assert "repeat" not in rates(base, base, 64)["sentence"]
