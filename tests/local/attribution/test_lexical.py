"""How like a training row the words of a question and its answer are."""

from __future__ import annotations

from arkor_dev.local.attribution.lexical import CLOSE, likenesses

ROWS = [
    "How do I reset my password? Choose a new one on the sign-in page.",
    "Where is my parcel? It left the warehouse and is on its way.",
    "Can I get a refund on the blue lamp? Choose Return beside the order.",
    "Who pays for the way back? We do, with the label in the box.",
]


def test_a_row_matches_its_paraphrased_question() -> None:
    found = likenesses(ROWS, "Where did my parcel go? It left the warehouse and is on its way to you.")
    assert found.index(max(found)) == 1
    assert max(found) > CLOSE
    assert likenesses(ROWS, ROWS[2])[2] == 1


def test_unrelated_texts_match_no_row() -> None:
    """Words that many rows have, and unknown ones, make none close."""
    assert (
        max(likenesses(ROWS, "What is the capital of Portugal? The capital of Portugal is Lisbon.")) < CLOSE
    )
    assert likenesses(ROWS, "Xyzzy plugh?") == [0.0] * 4
    assert likenesses([], "anything") == []
