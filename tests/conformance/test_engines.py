"""What computes an answer, asked for and told (docs/contract.md#engines), where the feature is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .conftest import QUESTION
from .test_order import need
from .test_sampling import streamed, whole

if TYPE_CHECKING:
    from .target import Target


def test_an_answer_names_its_engine(target: Target) -> None:
    need(target, "engines")
    text, chunks = streamed(target, engine="exact")
    by = chunks[-1]["answeredBy"]
    assert by["engine"]
    assert by["precision"]
    assert "why" not in by
    again = whole(target, engine="exact")
    assert again["answeredBy"] == by
    assert again["choices"][0]["message"]["content"] == text
    for engine in ("auto", None):
        assert streamed(target, engine=engine)[1][-1]["answeredBy"]["engine"]


@pytest.mark.parametrize("engine", ["quick", "", 1, ["exact"]], ids=str)
def test_an_unknown_engine_is_refused(target: Target, engine: object) -> None:
    need(target, "engines")
    body = {"messages": QUESTION, "baseModel": target.quick["model"], "engine": engine}
    answer = target.call("POST", "/v1/inference/chat", body)
    assert answer.status == 400
    assert "engine" in str(answer.error)
