"""Labels that are probably wrong: those that were changed are found, and few others."""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("numpy")

from arkor_dev.local.datasets.label_noise import FOLDS, LabeledRow, LabelNoise
from arkor_dev.local.training.methods.classify import tfidf

if TYPE_CHECKING:
    from collections.abc import Sequence

TOPICS = {
    "shipping": ["parcel", "truck", "late", "street", "driver", "delivery", "door", "courier"],
    "billing": ["charged", "invoice", "card", "twice", "money", "receipt", "price", "cost"],
    "account": ["password", "login", "email", "reset", "locked", "profile", "settings", "code"],
}
COMMON = ["the", "my", "is", "it", "to", "on", "a"]
OTHER = {"shipping": "billing", "billing": "account", "account": "shipping"}


def rows(wrong: Sequence[int] = (), count: int = 240) -> list[LabeledRow]:
    """Texts of words of their topic and common ones; those numbered in ``wrong`` have another label."""
    chance = random.Random(3)
    found = []
    for number in range(1, count + 1):
        label = list(TOPICS)[number % 3]
        words = [
            *chance.choices(TOPICS[label], k=5),
            *chance.choices(COMMON, k=5),
        ]
        chance.shuffle(words)
        given = OTHER[label] if number in wrong else label
        found.append(LabeledRow(number, f"line {number}", " ".join(words), given))
    return found


def checked(labeled: Sequence[LabeledRow]) -> LabelNoise:
    noise = LabelNoise()
    for row in labeled:
        noise.add(row)
    for _ in range(FOLDS):
        if noise.busy:
            noise.step()
    assert not noise.busy
    return noise


def test_changed_labels_are_found_with_the_right_one() -> None:
    pytest.importorskip("sklearn")
    wrong = list(range(5, 240, 20))
    labeled = rows(wrong)
    found = {suspicion.row.number: suspicion for suspicion in checked(labeled).suspicions()}
    assert len(found.keys() & set(wrong)) >= len(wrong) - 1
    assert len(found.keys() - set(wrong)) <= 2
    right = {row.number: row.label for row in rows()}
    for number in found.keys() & set(wrong):
        assert found[number].likely == right[number]
        assert found[number].weight > 0


def test_right_labels_are_left_alone() -> None:
    pytest.importorskip("sklearn")
    assert len(list(checked(rows()).suspicions())) <= 2


def test_a_hidden_torch_is_hidden_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the worker, where nothing may import it."""
    pytest.importorskip("sklearn")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert [suspicion.row.number for suspicion in checked(rows([65])).suspicions()] == [65]
    assert sys.modules["torch"] is None


def test_labels_with_few_rows_are_not_judged() -> None:
    pytest.importorskip("sklearn")
    rare = [LabeledRow(900 + at, f"line {at}", "parcel truck late door", "rare") for at in range(FOLDS - 1)]
    found = [suspicion.row.label for suspicion in checked([*rows(), *rare]).suspicions()]
    assert "rare" not in found


@pytest.mark.parametrize("labeled", [[], rows(count=2), [row for row in rows() if row.label == "billing"]])
def test_what_cannot_be_checked_has_no_finding(labeled: list[LabeledRow]) -> None:
    assert list(checked(labeled).suspicions()) == []


def test_without_scikit_learn_nothing_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfidf, "available", lambda: False)
    assert list(checked(rows([7])).suspicions()) == []
