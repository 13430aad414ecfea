"""Which rows count as rewritten from another: by the words of question and answer, compared apart."""

from __future__ import annotations

import random

import pytest

from arkor_dev.data.rewritten import rewritten_pairs

VOCABULARY = [f"word{number}" for number in range(2000)]
Texts = tuple[str, str]


def unrelated(count: int, asked: int = 10, said: int = 25, seed: int = 0) -> list[Texts]:
    """Questions and answers of random words."""
    chance = random.Random(seed)
    return [
        (" ".join(chance.choices(VOCABULARY, k=asked)), " ".join(chance.choices(VOCABULARY, k=said)))
        for _ in range(count)
    ]


def edited(row: Texts, share: float, seed: int) -> Texts:
    """A row with a share of the words of its question, and of its answer, replaced."""
    chance = random.Random(seed)
    texts = []
    for text in row:
        words = text.split()
        for place in chance.sample(range(len(words)), round(share * len(words))):
            words[place] = chance.choice(VOCABULARY)
        texts.append(" ".join(words))
    return texts[0], texts[1]


def pairs(rows: list[Texts]) -> set[tuple[int, int]]:
    return {(first, second) for first, second, _ in rewritten_pairs(rows)}


@pytest.mark.parametrize("share", [0.1, 0.2])
def test_rewritten_copies_are_found(share: float) -> None:
    originals = unrelated(100)
    copies = [edited(row, share, seed) for seed, row in enumerate(originals[:40])]
    assert pairs([*originals, *copies]) == {(number, 100 + number) for number in range(40)}


def test_unrelated_rows_are_not_paired() -> None:
    assert pairs(unrelated(1000)) == set()


def test_question_and_answer_must_both_match() -> None:
    rows = unrelated(60)
    other_answer = (rows[0][0], unrelated(1, seed=1)[0][1])
    other_question = (unrelated(1, seed=2)[0][0], rows[1][1])
    assert pairs([*rows, other_answer, other_question]) == set()


def test_rows_of_a_common_template_are_not_paired() -> None:
    """What most rows say does not distinguish them; then the number is what the row is about."""
    others = unrelated(300)

    def orders(count: int) -> list[Texts]:
        return [
            (f"Where is my order {number}?", f"Your order {number} is on its way and arrives in two days.")
            for number in range(1000, 1000 + count)
        ]

    assert pairs([*orders(4), *others]) == {(one, two) for two in range(4) for one in range(two)}
    assert pairs([*orders(200), *others]) == set()
    english = [(f"What is the {asked} of it?", f"It is {said}") for asked, said in others]
    capitals = [
        (f"What is the capital of {one}?", f"It is {two}.") for one, two in zip("abcd", "efgh", strict=True)
    ]
    assert pairs([*capitals, *english]) == set(), "short rows that differ in what they are about"


def test_text_rows_are_compared_by_their_text() -> None:
    texts = [("", " ".join(row)) for row in unrelated(50)]
    copy = ("", edited(texts[7], 0.1, 0)[1])
    assert pairs([*texts, copy]) == {(7, 50)}


def test_scripts_without_spaces_are_compared_by_character_pairs() -> None:
    chance = random.Random(0)
    letters = [chr(0x4E00 + number) for number in range(800)]
    rows = [
        ("".join(chance.choices(letters, k=15)), "".join(chance.choices(letters, k=40))) for _ in range(60)
    ]
    question, answer = rows[5]
    copy = (f"{question[:7]}{letters[3]}{question[8:]}", f"{answer[:10]}{letters[9]}{answer[11:]}")
    assert pairs([*rows, copy]) == {(5, 60)}


def test_rewritten_pairs_are_deterministic() -> None:
    rows = unrelated(80)
    rows += [edited(row, 0.2, seed) for seed, row in enumerate(rows)]
    assert list(rewritten_pairs(rows)) == list(rewritten_pairs(rows))
