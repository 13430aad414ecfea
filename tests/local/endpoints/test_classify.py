"""Bodies of ``/classify``, their answers, and refusals of texts."""

from __future__ import annotations

from typing import Any

import pytest

from arkor_dev.contract.errors import BadRequestError, NotFoundError
from arkor_dev.local.endpoints.classify import answer_of, input_fault, read_texts
from arkor_dev.local.inference.messages import ClassifiedTexts, Done


def test_a_text_alone_is_a_list_of_one() -> None:
    assert read_texts({"input": "one", "model": "bot"}, "bot") == ["one"]
    assert read_texts({"input": ["one", "two"]}, "bot") == ["one", "two"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": []},
        {"input": ["one", 2]},
        {"input": {"text": "one"}},
        {"input": "\n"},
        {"input": ["x"] * 257},
    ],
)
def test_other_bodies_are_refused(body: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError, match=r"^input") as refused:
        read_texts(body, "bot")
    assert refused.value.extra["param"] == "input"


def test_another_model_is_not_found() -> None:
    with pytest.raises(NotFoundError, match='endpoint\'s is "bot"'):
        read_texts({"input": "one", "model": "other"}, "bot")


def test_the_likeliest_label_comes_with_all_probabilities() -> None:
    found = answer_of("bot", ClassifiedTexts(["a", "b"], [[0.25, 0.75]]), Done("stop", prompt_tokens=4))
    (row,) = found["data"]
    assert (row["label"], row["probs"], row["num_classes"]) == ("b", [0.25, 0.75], 2)
    assert found["labels"] == ["a", "b"]
    assert found["usage"] == {"prompt_tokens": 4, "completion_tokens": 0, "total_tokens": 4}


def test_only_faults_of_texts_are_the_callers() -> None:
    fault = input_fault("input[2] has 9000 tokens, and this model reads at most 8192: shorten it")
    assert fault is not None
    assert fault.extra["param"] == "input"
    assert input_fault("input has 40000 tokens, and 32768 is the most: send fewer texts at once")
    assert input_fault("The adapter in /home/ann does not fit its base model") is None
