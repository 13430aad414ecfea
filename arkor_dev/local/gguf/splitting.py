"""Which of llama.cpp's ways to split a text before its merges is a tokenizer's own: tried, not guessed.

The converters know a tokenizer by the digest of some tokens, so one of another vocabulary (of a small model,
or of one that was converted before) is unknown to them although llama.cpp can split as it does. Here a file
with the vocabulary alone is written for each way, and llama.cpp's tokens of hard texts are compared with its.
Vocabularies of SentencePiece's kind (Gemma, Llama 2, Mistral, Phi) have one way; there it is tried where a
space belongs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.modeling.chat_template import render
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

WAYS: Final = (
    "gpt-2", "smollm", "qwen2", "llama-bpe", "gpt-4o", "tekken", "starcoder", "deepseek-llm", "falcon",
    "mpt", "olmo", "stablelm2", "command-r", "default",
)  # fmt: skip
"""llama.cpp's names (tokenizer.ggml.pre), the plainest first."""
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
"""llama.cpp's kinds of tokens: for what has none, of no text, and of one that is found before others."""


def likely_first(tokenizer_json: Path) -> list[str]:
    """All ways, with those that a tokenizer's own description speaks for in front."""
    try:
        text = json.dumps(json.loads(tokenizer_json.read_text()).get("pre_tokenizer") or {})
    except (OSError, ValueError, AttributeError):
        return list(WAYS)
    said = (
        ("smollm", '"Digits"' in text),
        ("qwen2", "\\\\p{N}|" in text),
        ("llama-bpe", "\\\\p{N}{1,3}|" in text),
        ("gpt-2", '"use_regex": true' in text),
    )
    first = [way for way, speaks in said if speaks]
    return [*first, *(way for way in WAYS if way not in first)]


def way_of(
    tokenizer: Any,
    tokenizer_json: Path,
    tokens: Callable[[str, Sequence[str]], list[list[int]]],
    known: str | None = None,
) -> str | None:
    """The first way by which llama.cpp makes the same tokens; where there is none, ``known``.

    ``known`` is the converters' own word, which is tried first: a digest can be that of another tokenizer.
    ``tokens`` are llama.cpp's of some texts by a way; ValueError is for one that llama.cpp does not know.
    """
    wanted = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
    for way in [*([known] if known else []), *likely_first(tokenizer_json)]:
        try:
            if tokens(way, TEXTS) == wanted:
                return way
        except ValueError:
            continue
    return known


def with_added_tokens(
    tokenizer: Any, tokens: list[bytes], scores: list[float], kinds: list[int]
) -> tuple[list[bytes], list[float], list[int]]:
    """A vocabulary of SentencePiece's with what was added to it, which transformers keeps elsewhere."""
    for token, added in tokenizer.added_tokens_decoder.items():
        if token < len(tokens) and kinds[token] != UNKNOWN:
            tokens[token], scores[token] = added.content.encode(), ADDED_SCORE
            kinds[token] = CONTROL if added.special else USER_DEFINED
    return tokens, scores, kinds


def space_before(
    tokenizer: Any, told: bool, tokens: Callable[[bool, Sequence[str]], list[list[int]]]
) -> bool:
    """Whether llama.cpp is to set a space before a text, by whether it then makes the training's tokens.

    ``told`` is the converters' own word, which holds where neither does. ``tokens`` are llama.cpp's of some
    texts with such a space, or without. Tokenizers differ in what they do after a mark, such as the start
    token of a conversation.
    """
    texts = []
    for messages in (CONVERSATION[:1], CONVERSATION):
        try:
            texts.append(render(tokenizer, messages, cue=True))
        except JobFailure:
            continue
    wanted = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    for space in (told, not told):
        try:
            if tokens(space, texts) == wanted:
                return space
        except ValueError:
            continue
    return told
