"""Requests to classify texts, in the form of vLLM's ``/classify``: labels with their probabilities."""

from __future__ import annotations

import re
import secrets
import time
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict

from arkor_dev.contract.errors import BadRequestError, NotFoundError
from arkor_dev.contract.rules import FILLED, Rule, quoted
from arkor_dev.contract.schema import Field, Schema

from .openai import checked, refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.local.inference.messages import ClassifiedTexts, Done

CLASSIFY: Final = "classify"
MOST_TEXTS: Final = 256
THRESHOLD: Final = 0.5
"""Probability above which a text has a label, of which it may have several."""
DIGITS: Final = 6
"""Number of a probability's decimals."""
_INPUT: Final = Rule("other", noun=f"a text, or a list of 1 to {MOST_TEXTS} texts")
BODY: Final = Schema(Field("model", FILLED, null=True), Field("input", _INPUT, needed=True))
_FAULT: Final = re.compile(r"input(?:\[\d+\])? has ")


class ModelBody(TypedDict):
    """A body that may name the endpoint's model."""

    model: NotRequired[str | None]


class TextsBody(ModelBody):
    """A body with texts, of which nothing is checked yet but that there is something."""

    input: object


class PromptUsage(TypedDict):
    """Tokens of a request without an answer in words."""

    prompt_tokens: int
    completion_tokens: NotRequired[int]
    total_tokens: int


class ClassifiedInput(TypedDict):
    """A text's likeliest ``label``, and the probability of each label."""

    index: int
    label: str
    probs: list[float]
    num_classes: int
    predicted: NotRequired[list[str]]


class ClassifyResponse(TypedDict):
    """An answer of ``/classify``."""

    id: str
    object: str
    created: int
    model: str
    labels: list[str]
    data: list[ClassifiedInput]
    usage: PromptUsage


def read_texts(body: object, slug: str) -> list[str]:
    """Return the texts of a body.

    Raises BadRequestError with the invalid ``param``, and NotFoundError for another model.
    """
    return checked_texts(checked(TextsBody, body, BODY), slug)


def checked_texts(asked: TextsBody, slug: str) -> list[str]:
    """Return the texts of a checked body, which are the same in other calls. Raises as `read_texts`."""
    check_model(asked, slug)
    given = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
    texts = [text for text in given if isinstance(text, str)]
    if not 1 <= len(given) <= MOST_TEXTS or len(texts) < len(given):
        raise refused("input", f"input must be {_INPUT.noun}")
    for number, text in enumerate(texts):
        if not text.strip():
            raise refused("input", f"input[{number}] is empty: send a text that is not empty")
    return texts


def check_model(asked: ModelBody, slug: str) -> None:
    """Raise NotFoundError if a checked body asks for another model."""
    if asked.get("model") not in (None, slug):
        text = f'The model {quoted(asked["model"])} is not served here: this endpoint\'s is "{slug}"'
        raise NotFoundError(text, param="model", code="model_not_found")


def answer_of(slug: str, classified: ClassifiedTexts, done: Done) -> ClassifyResponse:
    """Return the answer: for each text its likeliest label, and the probability of each of ``labels``.

    If a text may have several labels, ``predicted`` lists those that are likelier than not.
    """
    tokens = done.prompt_tokens
    rows: list[ClassifiedInput] = []
    for index, probabilities in enumerate(classified.probabilities):
        row: ClassifiedInput = {
            "index": index,
            "label": classified.labels[probabilities.index(max(probabilities))],
            "probs": [round(probability, DIGITS) for probability in probabilities],
            "num_classes": len(probabilities),
        }
        if classified.multiple:
            row["predicted"] = _likely(classified.labels, probabilities)
        rows.append(row)
    return {
        "id": f"classify-{secrets.token_hex(12)}",
        "object": "list",
        "created": int(time.time()),
        "model": slug,
        "labels": classified.labels,
        "data": rows,
        "usage": {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens},
    }


def _likely(labels: Sequence[str], probabilities: Sequence[float]) -> list[str]:
    return [
        label for label, probability in zip(labels, probabilities, strict=True) if probability > THRESHOLD
    ]


def input_fault(text: str) -> BadRequestError | None:
    """Return an engine's refusal of a text as one of the caller's ``input``; None if it is none."""
    return refused("input", text) if _FAULT.match(text) else None
