"""Constrains an answer to a schema: the allowed next tokens, and when it is complete."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from arkor_dev.local.modeling.tool_calls import END, MARK, writes_marked_calls
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llguidance import LLMatcher, LLTokenizer
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

    from .request import OutputFormat

MOST_COMPILED: Final = 16
"""Maximum number of compiled schemas cached per vocabulary: programs reuse the same schema."""
DIGITS: Final = 300
"""Maximum length of a number, in characters, that other programs can read."""
NESTED: Final = 100
"""Maximum nesting of lists and objects: the limit of Studio's own JSON parser."""

End = Literal["stop", "length"] | None


class Vocabulary:
    """A model's tokens, for either engine, with the schemas compiled for them."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, tokens: LLTokenizer) -> None:
        self.tokenizer = tokenizer
        self.tokens = tokens
        self._compiled: OrderedDict[OutputFormat, LLMatcher] = OrderedDict()
        self._marks_calls: bool | None = None

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, ends: Sequence[int]) -> Vocabulary:
        """Return the vocabulary of a transformers tokenizer and its end tokens. Raises JobFailure."""
        from .grammar import vocabulary_of

        return cls(tokenizer, vocabulary_of(tokenizer, ends))

    def constrain(self, wanted: OutputFormat) -> Constraint | None:
        """Start an answer of this format; None if only the number of calls matters, in an unknown syntax.

        Calls are in the model's own syntax; a forced one is bare JSON if that is unknown. Raises JobFailure,
        beginning with the request's field, for a format that cannot be enforced.
        """
        # Imported here: most answers never need it.
        from .grammar import GrammarError, call_matcher_of, matcher_of

        rules, field = wanted.calls, wanted.field
        is_marked = rules is not None and self._writes_marks()
        if rules is not None and not is_marked and not rules.forced:
            if not rules.strict:
                return None
            raise JobFailure(
                f"{field} cannot be enforced: strict is only possible for models whose chat template writes "
                f"calls between {MARK} and {END}, or with a forced call"
            )
        if wanted not in self._compiled:
            try:
                if rules is not None and is_marked:
                    self._compiled[wanted] = call_matcher_of(wanted.schema, rules, self.tokens)
                else:
                    self._compiled[wanted] = matcher_of(wanted.schema, self.tokens)
            except GrammarError as fault:
                raise JobFailure(f"{field} cannot be enforced: {fault}") from fault
        self._compiled.move_to_end(wanted)
        if len(self._compiled) > MOST_COMPILED:
            self._compiled.popitem(last=False)
        mark = MARK.encode() if is_marked else b""
        return Constraint(self._compiled[wanted].deep_copy(), self.tokens, field, mark)

    def _writes_marks(self) -> bool:
        """Return whether the model's chat template writes calls as Hermes and Qwen do."""
        if self._marks_calls is None:
            self._marks_calls = writes_marked_calls(self.tokenizer)
        return self._marks_calls


class Constraint:
    """Constrains one answer: `allowed`, then `take` with the chosen token."""

    def __init__(self, matcher: LLMatcher, tokens: LLTokenizer, field: str, mark: bytes = b"") -> None:
        """``mark`` begins the JSON of an answer that may have text before."""
        self._field = field
        self.is_marked = bool(mark)
        self._mark = mark
        self._before = b""
        self._matcher = matcher
        self._tokens = tokens
        self._bounds = ParserLimits()

    def allowed(self, size: int) -> NDArray[np.bool_]:
        """Return which of a vocabulary of ``size`` tokens may come next. Raises JobFailure."""
        allowed = np.zeros(size, np.bool_)
        mask = np.frombuffer(self._matcher.compute_logit_bias(), np.uint8)[:size]
        allowed[: mask.size] = mask != 0
        self._check()
        return allowed

    def accept(self, token: int) -> End:
        """Add ``token``; return why the answer ends with it, or None. Raises JobFailure.

        ``stop``: the answer is complete and nothing can follow. ``length``: a number is longer, or the
        nesting deeper, than other programs can read.
        """
        self._matcher.consume_token(token)
        self._check()
        if not self._bounds.push(self._json_in(self._tokens.decode_bytes([token]))):
            return "length"
        return "stop" if self._matcher.is_stopped() else None

    def _json_in(self, data: bytes) -> bytes:
        """Return the part of ``data`` that is behind the mark."""
        if not self._mark:
            return data
        self._before += data
        _, found, after = self._before.partition(self._mark)
        if found:
            self._mark = b""
            return after
        self._before = self._before[-len(self._mark) :]
        return b""

    def _check(self) -> None:
        if self._matcher.is_error():
            from .grammar import fault_of

            raise JobFailure(f"{self._field} can no longer be enforced: {fault_of(self._matcher)}")


class ParserLimits:
    """Limits of parsers beyond those of a schema: the length of numbers and the depth of nesting."""

    def __init__(self) -> None:
        self._number = bytearray()
        self._depth = 0
        self._quoted = self._escaped = False

    def push(self, data: bytes) -> bool:
        """Return whether JSON that continues with ``data`` can still be read by other programs."""
        for byte in data:
            if self._quoted:
                self._quoted = self._escaped or byte != 0x22
                self._escaped = not self._escaped and byte == 0x5C
            elif byte in b"-0123456789" or (self._number and byte in b"+.eE"):
                self._number.append(byte)
            else:
                if not self._is_finite():
                    return False
                self._number.clear()
                self._quoted = byte == 0x22
                self._depth += (byte in b"[{") - (byte in b"]}")
        return self._depth <= NESTED and len(self._number) <= DIGITS and self._is_finite()

    def _is_finite(self) -> bool:
        # Within a number, the last character may be something other than a digit.
        number = self._number
        return not number or number[-1] not in b"0123456789" or math.isfinite(float(number))
