"""Which way to split texts is a tokenizer's own: those that its description speaks for are tried first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.gguf.pretokenizer import PRETOKENIZERS, find_pretokenizer, likely_first

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DIGITS = {"type": "Sequence", "pretokenizers": [{"type": "Digits"}, {"type": "ByteLevel", "use_regex": True}]}
LEVEL = {"type": "ByteLevel", "use_regex": True}


@pytest.mark.parametrize(
    ("told", "first"),
    [
        (DIGITS, "smollm"),
        (LEVEL, "gpt-2"),
        ({"type": "Split", "pattern": {"Regex": r"\p{N}| ?x"}}, "qwen2"),
        ({"type": "Split", "pattern": {"Regex": r"\p{N}{1,3}| ?x"}}, "llama-bpe"),
        (None, PRETOKENIZERS[0]),
    ],
)
def test_the_likeliest_pretokenizer_is_tried_first(told: object, first: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({"pre_tokenizer": told}))
    found = likely_first(path)
    assert found[0] == first
    assert sorted(found) == sorted(PRETOKENIZERS)
    assert likely_first(tmp_path / "none") == list(PRETOKENIZERS)


class Words:
    """A tokenizer whose tokens are the lengths of words."""

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, Any]:
        assert not add_special_tokens
        return {"input_ids": [len(word) for word in text.split()]}


def test_the_first_pretokenizer_with_equal_tokens_is_used(tmp_path: Path) -> None:
    tried: list[str] = []

    def tokens(way: str, texts: Sequence[str]) -> list[list[int]]:
        tried.append(way)
        if way == "smollm":
            raise ValueError("llama.cpp does not know it")
        right = [Words()(text, add_special_tokens=False)["input_ids"] for text in texts]
        return right if way == "qwen2" else [*right[:-1], [0]]

    assert find_pretokenizer(Words(), tmp_path / "none", tokens) == "qwen2"
    assert tried == ["gpt-2", "smollm", "qwen2"]
    assert find_pretokenizer(Words(), tmp_path / "none", lambda *_: [[0]]) is None


def test_the_pretokenizer_of_a_known_digest_is_tried(tmp_path: Path) -> None:
    def tokens(way: str, texts: Sequence[str]) -> list[list[int]]:
        right = [Words()(text, add_special_tokens=False)["input_ids"] for text in texts]
        return right if way in ("gpt-2", "olmo") else [[0]]

    assert find_pretokenizer(Words(), tmp_path / "none", tokens, "olmo") == "olmo"
    assert find_pretokenizer(Words(), tmp_path / "none", tokens, "smollm") == "gpt-2"
    assert find_pretokenizer(Words(), tmp_path / "none", lambda *_: [[0]], "smollm") == "smollm"
