"""Finds llama.cpp's pre-tokenizer for a tokenizer by trying all of them.

The converters identify a tokenizer by a hash of some tokens. So one with another vocabulary (of a small
model, or converted before) is unknown to them although llama.cpp can split text in the same way. Here a file
with only the vocabulary is written for each pre-tokenizer, and llama.cpp's tokens of difficult texts are
compared with the tokenizer's. SentencePiece vocabularies (Gemma, Llama 2, Mistral, Phi) differ only in
whether a space is added before a text, and both are tried.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from arkor_dev.local.modeling.chat_template import render
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from transformers import PreTrainedTokenizerBase

PRETOKENIZERS: Final = (
    "gpt-2", "smollm", "qwen2", "llama-bpe", "gpt-4o", "tekken", "starcoder", "deepseek-llm", "falcon",
    "mpt", "olmo", "stablelm2", "command-r", "default",
)  # fmt: skip
"""llama.cpp's names (tokenizer.ggml.pre), simplest first."""
TEXTS: Final = (
    "Hello world! It's 2024, isn't it? They'LL pay 1234567 dollars, we've 3 or 33 or 333.",
    "  two spaces\n\n\nthree lines\t\ttabs \n x  \r\n end   ",
    "Ça va ? Ärger über Öl. Зачем? 你好，世界！ こんにちは 12 ١٢٣ ကောင်း 🦜🚀 👩‍👩‍👧",  # noqa: RUF001 - they are meant
    "a list:\n\n  1. one\n   22. two\t3  4 \n\n5",
    'def f(x):\n    return x**2  # x_y-z /path/to/file.txt <b>html</b> {"a": [1, 2.50]}',
    "''''''```````\"\"\"\"......!!!!!!?????? =======  ------ I'M 'told YOU'RE we'D",
    "CamelCaseWords and_under_scores MIXEDcase don\u2019t A1B2C3 v1.2.3-rc4",
)
CONVERSATION: Final = (
    {"role": "user", "content": "Where is my parcel?"},
    {"role": "assistant", "content": "It left us."},
    {"role": "user", "content": "  And 2 more?"},
)
ADDED_SCORE: Final = -1000.0
UNKNOWN, CONTROL, USER_DEFINED = 2, 3, 4
"""llama.cpp's token types: unknown text, control tokens, and tokens matched before others."""


def likely_first(tokenizer_json: Path) -> list[str]:
    """Return all pre-tokenizers, starting with those that the tokenizer's own description suggests."""
    try:
        text = json.dumps(json.loads(tokenizer_json.read_text()).get("pre_tokenizer") or {})
    except (OSError, ValueError, AttributeError):
        return list(PRETOKENIZERS)
    hints = (
        ("smollm", '"Digits"' in text),
        ("qwen2", "\\\\p{N}|" in text),
        ("llama-bpe", "\\\\p{N}{1,3}|" in text),
        ("gpt-2", '"use_regex": true' in text),
    )
    first = [name for name, matches in hints if matches]
    return [*first, *(name for name in PRETOKENIZERS if name not in first)]


def find_pretokenizer(
    tokenizer: PreTrainedTokenizerBase,
    tokenizer_json: Path,
    tokens: Callable[[str, Sequence[str]], list[list[int]]],
    default: str | None = None,
) -> str | None:
    """Return the first one with which llama.cpp produces the same tokens, or ``default``.

    ``default`` is the converters' own choice, which is tried first although their hash may match another
    tokenizer. ``tokens`` returns llama.cpp's tokens of some texts, and raises ValueError for an unknown
    pre-tokenizer.
    """
    expected = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
    for name in [*([default] if default else []), *likely_first(tokenizer_json)]:
        try:
            if tokens(name, TEXTS) == expected:
                return name
        except ValueError:
            continue
    return default


def with_added_tokens(
    tokenizer: PreTrainedTokenizerBase, tokens: list[bytes], scores: list[float], kinds: list[int]
) -> tuple[list[bytes], list[float], list[int]]:
    """Return a SentencePiece vocabulary with its added tokens, which transformers stores separately."""
    for token, added in tokenizer.added_tokens_decoder.items():
        if token < len(tokens) and kinds[token] != UNKNOWN:
            tokens[token], scores[token] = added.content.encode(), ADDED_SCORE
            kinds[token] = CONTROL if added.special else USER_DEFINED
    return tokens, scores, kinds


def adds_space(
    tokenizer: PreTrainedTokenizerBase,
    default: bool,
    tokens: Callable[[bool, Sequence[str]], list[list[int]]],
) -> bool:
    """Return whether llama.cpp must add a space before a text to produce the training's tokens.

    ``default`` is the converters' own choice, used if neither works. ``tokens`` returns llama.cpp's tokens of
    some texts with such a space, or without. Tokenizers differ in how they treat text after a special token,
    such as the start token of a conversation.
    """
    texts = []
    for messages in (CONVERSATION[:1], CONVERSATION):
        try:
            texts.append(render(tokenizer, messages, add_generation_prompt=True))
        except JobFailure:
            continue
    expected = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    for space in (default, not default):
        try:
            if tokens(space, texts) == expected:
                return space
        except ValueError:
            continue
    return default
