"""Rows of two answers: TRL's formats, UltraFeedback's scores and the playground's corrections."""

from __future__ import annotations

from typing import Any

import pytest

from arkor_dev.data.forms import FORMS
from arkor_dev.data.methods import forms_of
from arkor_dev.data.preferences import PAIRS, RATINGS
from arkor_dev.data.row_parser import row_of
from arkor_dev.data.rows import RowError

ASKED = {"role": "user", "content": "Where?"}
MAPPED = {"prompt": "q", "completion": "a", "label": "ok"}
HERE, THERE = ({"role": "assistant", "content": word} for word in ("Here.", "There."))


def read(record: object) -> Any:
    return row_of(record, "row", None, {}, forms=PAIRS)


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "Where?", "chosen": "Here.", "rejected": "There."},
        {"prompt": [ASKED], "chosen": [HERE], "rejected": [THERE]},
        {"prompt": [ASKED], "chosen": "Here.", "rejected": "There."},
        {"prompt": [ASKED], "chosen": HERE, "rejected": THERE},
        {
            "prompt": [{"from": "human", "value": "Where?"}],
            "chosen": {"from": "gpt", "value": "Here."},
            "rejected": {"from": "gpt", "value": "There."},
        },
        {"chosen": [ASKED, HERE], "rejected": [ASKED, THERE]},
        {"input": {"messages": [ASKED]}, "preferred_output": [HERE], "non_preferred_output": [THERE]},
        {"messages": [ASKED, HERE], "corrected": {"at": "2026-01-01T00:00:00Z", "instead": "There."}},
        {
            "instruction": "Where?",
            "completions": [
                {"response": "Somewhere.", "overall_score": 5},
                {"response": "There.", "overall_score": 2},
                {"response": "Here.", "overall_score": 9.5},
            ],
        },
    ],
)
def test_every_preference_form_becomes_a_prompt_and_two_answers(record: dict[str, Any]) -> None:
    row = read(record)
    assert row.messages == [ASKED, HERE]
    assert row.extra["rejected"] == [ASKED, THERE]


def test_a_system_prompt_precedes_both_answers() -> None:
    row = read({"prompt": "Where?", "chosen": "Here.", "rejected": "There.", "system": "Be short."})
    assert [message["role"] for message in row.messages] == ["system", "user", "assistant"]
    assert row.extra["rejected"][0] == {"role": "system", "content": "Be short."}


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"prompt": "Where?", "chosen": "Here.", "rejected": "Here."}, "nothing to prefer"),
        ({"prompt": "Where?", "chosen": "Here.", "rejected": ""}, "no assistant message"),
        ({"prompt": "Where?", "chosen": 3, "rejected": "There."}, "chosen must be text"),
        ({"prompt": [], "chosen": "Here.", "rejected": "There."}, "prompt must be"),
        ({"chosen": "Here.", "rejected": "There."}, "add a prompt"),
        ({"chosen": [ASKED, HERE], "rejected": [{**ASKED, "content": "Who?"}, THERE]}, "same prompt"),
        ({"messages": [ASKED, HERE], "corrected": {}}, "nothing to reject"),
        (
            {"instruction": "Who?", "completions": [{"response": "a", "overall_score": 1}]},
            "two completions",
        ),
        ({"messages": [ASKED, HERE]}, "expected prompt and chosen and rejected"),
    ],
)
def test_an_invalid_preference_row_names_the_reason(record: dict[str, Any], says: str) -> None:
    with pytest.raises(RowError, match=says):
        read(record)


@pytest.mark.parametrize("label", [True, 1, "true", "False", 0])
def test_a_rating_becomes_an_answer_with_a_label(label: object) -> None:
    record = {"prompt": [ASKED], "completion": [HERE], "label": label}
    row = row_of(record, "row", None, {}, forms=RATINGS)
    assert row.messages == [ASKED, HERE]
    assert row.extra == {"desirable": label not in (0, "False")}
    texts = row_of({"q": "Where?", "a": "Here.", "ok": label}, "row", None, MAPPED, forms=RATINGS)
    assert (texts.messages, texts.extra) == (row.messages, row.extra)


def test_ratings_are_for_kto_only() -> None:
    record = {"prompt": "Where?", "completion": "Here.", "label": False}
    with pytest.raises(RowError, match='Rated answers are for method = "kto"'):
        read(record)
    with pytest.raises(RowError, match=r'must not be imitated\. Rated answers are for method = "kto"'):
        row_of(record, "row", None, {})
    with pytest.raises(RowError, match="true for a good answer"):
        row_of({**record, "label": "good"}, "row", None, {}, forms=RATINGS)


def test_each_method_has_its_row_forms() -> None:
    assert forms_of("kto") is RATINGS
    assert forms_of("dpo") is forms_of("orpo") is PAIRS
    assert forms_of(None) is forms_of("sft") is FORMS
