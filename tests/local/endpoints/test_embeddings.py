"""Bodies of ``/embeddings``, and their answers."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from arkor_dev.contract.errors import BadRequestError, NotFoundError
from arkor_dev.local.endpoints.embeddings import EmbeddingsRequest, embeddings_of, read_embeddings
from arkor_dev.local.inference.messages import Done, EmbeddedTexts


def test_a_text_alone_is_a_document_in_full_size() -> None:
    assert read_embeddings({"input": "one", "user": "ann"}, "bot") == EmbeddingsRequest(["one"])
    body = {
        "input": ["one", "two"],
        "encoding_format": "base64",
        "dimensions": 64,
        "input_type": "query",
        "model": "bot",
    }
    assert read_embeddings(body, "bot") == EmbeddingsRequest(["one", "two"], "query", 64, base64=True)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": [[1, 2]]}, "input"),
        ({"input": "\n"}, "input"),
        ({"input": ["x"] * 257}, "input"),
        ({"input": "x", "dimensions": 0}, "dimensions"),
        ({"input": "x", "encoding_format": "hex"}, "encoding_format"),
        ({"input": "x", "input_type": "passage"}, "input_type"),
    ],
)
def test_other_bodies_are_refused(body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError, match=f"^{param}") as refused:
        read_embeddings(body, "bot")
    assert refused.value.extra["param"] == param


def test_another_model_is_not_found() -> None:
    with pytest.raises(NotFoundError, match='endpoint\'s is "bot"'):
        read_embeddings({"input": "one", "model": "other"}, "bot")


def test_vectors_are_numbers_or_base64() -> None:
    packed = base64.b64encode(struct.pack("<2f", 0.6, -0.8)).decode()
    done = Done("stop", prompt_tokens=4)
    found = embeddings_of("bot", EmbeddingsRequest(["a"]), EmbeddedTexts([packed]), done)
    (row,) = found["data"]
    assert row == {"object": "embedding", "index": 0, "embedding": [0.60000002, -0.80000001]}
    assert found["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
    (row,) = embeddings_of("bot", EmbeddingsRequest(["a"], base64=True), EmbeddedTexts([packed]), done)[
        "data"
    ]
    assert row["embedding"] == packed
