"""Compiles a schema to a grammar over a model's tokens, with llguidance; the only module that uses it.

Limits bound the time and memory of a single step, whatever the schema; ``check_worker`` bounds its
compilation. Nothing here reads a file or an address.
"""

from __future__ import annotations

import json
from copy import copy
from typing import TYPE_CHECKING, Final

from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper

from arkor_dev.local.modeling.tool_calls import END, MARK
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase

    from .request import CallRules

LIMITS: Final = LLParserLimits(
    max_items_in_row=1_000,
    initial_lexer_fuel=500_000,
    step_lexer_fuel=100_000,
    step_max_items=20_000,
    max_lexer_states=50_000,
    max_grammar_size=100_000,
    # A pattern is applied to all of a model's tokens, and its author controls how long that takes.
    precompute_large_lexemes=False,
    verbose_errors=False,
)
"""A matcher's limits: at most half of the library's defaults, which suit the largest known schemas."""
OPTIONS: Final[dict[str, object]] = {
    # One space, or a new line with its indentation: without a limit a model may write whitespace forever.
    "whitespace_pattern": r" |\n {0,16}|\n\t{0,4}",
    # With \uXXXX, a listed name could be spelled in a second way and pass for a different one.
    "json_allowed_escapes": 'nrbtf\\"',
}
TEXT: Final = 300


class GrammarError(ValueError):
    """Why a schema cannot be compiled, as the end of a sentence."""


def vocabulary_of(tokenizer: PreTrainedTokenizerBase, ends: Sequence[int]) -> LLTokenizer:
    """Return the tokens of a fast transformers tokenizer, and which of them end an answer.

    This takes up to a second, so the result is cached with the model. Raises JobFailure if the tokenizer does
    not define which bytes its tokens represent.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise JobFailure(
            "responseFormat cannot be enforced: this model's tokenizer does not expose its tokens' bytes"
        )
    # A copy: padding and truncation are settings of the tokenizer, not of its tokens.
    backend = copy(backend)
    backend.no_padding()
    backend.no_truncation()
    last = list(ends) or [0 if tokenizer.eos_token_id is None else tokenizer.eos_token_id]
    try:
        return LLTokenizer(backend.to_str(), eos_token=last)
    except ValueError as error:
        raise JobFailure(
            f"responseFormat cannot be enforced with this model's tokenizer: {_line(error)}"
        ) from error


class _Bytes:
    """A vocabulary with one token for each byte, for checking a grammar without a model."""

    eos_token_id = 256
    bos_token_id = None
    tokens: Final = [*(bytes([value]) for value in range(256)), b"\xff<end>"]
    special_token_ids: Final = [256]

    def __call__(self, text: bytes | str) -> list[int]:
        return list(text.encode() if isinstance(text, str) else text)


def bytes_alone() -> LLTokenizer:
    """Return the vocabulary of single bytes, which needs no preparation."""
    return LLTokenizer(TokenizerWrapper(_Bytes()))


def matcher_of(schema: str, vocabulary: LLTokenizer) -> LLMatcher:
    """Return a matcher at the first token for JSON of `schemas.read`. Raises GrammarError."""
    return _checked(LLMatcher.grammar_from_json_schema(schema, overrides=OPTIONS), vocabulary)


def call_matcher_of(schema: str, rules: CallRules, vocabulary: LLTokenizer) -> LLMatcher:
    """Return a matcher for an answer with calls in the syntax of Hermes and Qwen. Raises GrammarError.

    ``schema`` is that of one call. Without a forced call any text may come before the first, or be all.
    """
    more = f' ("\\n{MARK}" call)*' if rules.parallel else ""
    start = "BEGIN call" if rules.forced else "TEXT? | begin call"
    json_schema = json.dumps({**json.loads(schema), "x-guidance": OPTIONS}, ensure_ascii=False)
    lark = f"""%llguidance {{}}
start: {start}{more}
begin[lazy]: /(.|\\n)*{MARK}/
BEGIN: "{MARK}"
TEXT: /(.|\\n)+/
call: "\\n" object "\\n{END}"
object: %json {json_schema}
"""
    return _checked(LLMatcher.grammar_from_lark(lark), vocabulary)


def _checked(grammar: str, vocabulary: LLTokenizer) -> LLMatcher:
    matcher = LLMatcher(vocabulary, grammar, log_level=0, limits=LIMITS)
    if not matcher.is_error():
        matcher.compute_logit_bias()
    if matcher.is_error():
        raise GrammarError(fault_of(matcher))
    return matcher


def fault_of(matcher: LLMatcher) -> str:
    """Return why a matcher has stopped, on one line."""
    return _line(matcher.get_error()) or "no value fits it"


def _line(message: object) -> str:
    return " ".join(str(message).split())[:TEXT]
