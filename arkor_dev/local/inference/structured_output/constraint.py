"""Constrains an answer to a schema: the allowed next tokens, and when it is complete."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llguidance import LLMatcher, LLTokenizer
    from numpy.typing import NDArray

MOST_COMPILED: Final = 16
"""Maximum number of compiled schemas cached per vocabulary: programs reuse the same schema."""
DIGITS: Final = 300
"""Maximum length of a number, in characters, that other programs can read."""
NESTED: Final = 100
"""Maximum nesting of lists and objects: the limit of Studio's own JSON parser."""

End = Literal["stop", "length"] | None


class Vocabulary:
    """A model's tokens, for either engine, with the schemas compiled for them."""

    def __init__(self, tokenizer: Any, tokens: LLTokenizer) -> None:
        self.tokenizer = tokenizer
        self.tokens = tokens
        self._compiled: OrderedDict[str, LLMatcher] = OrderedDict()

    @classmethod
    def of(cls, tokenizer: Any, ends: Sequence[int]) -> Vocabulary:
        """Return the vocabulary of a transformers tokenizer and its end tokens. Raises JobFailure."""
        from .grammar import vocabulary_of

        return cls(tokenizer, vocabulary_of(tokenizer, ends))

    def constrain(self, schema: str, field: str) -> Constraint:
        """Start an answer that fits ``schema``, JSON from `schemas.read`.

        Raises JobFailure, beginning with the ``field`` of the request, if it cannot be compiled.
        """
        # Imported here: most answers never need it.
        from .grammar import GrammarError, matcher_of

        if schema not in self._compiled:
            try:
                self._compiled[schema] = matcher_of(schema, self.tokens)
            except GrammarError as fault:
                raise JobFailure(f"{field} cannot be enforced: {fault}") from fault
        self._compiled.move_to_end(schema)
        if len(self._compiled) > MOST_COMPILED:
            self._compiled.popitem(last=False)
        return Constraint(self._compiled[schema].deep_copy(), self.tokens, field)


class Constraint:
    """Constrains one answer: `allowed`, then `take` with the chosen token."""

    def __init__(self, matcher: LLMatcher, tokens: LLTokenizer, field: str) -> None:
        self._field = field
        self._matcher = matcher
        self._tokens = tokens
        self._bounds = Bounds()

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
        if not self._bounds.push(self._tokens.decode_bytes([token])):
            return "length"
        return "stop" if self._matcher.is_stopped() else None

    def _check(self) -> None:
        if self._matcher.is_error():
            from .grammar import fault_of

            raise JobFailure(f"{self._field} can no longer be enforced: {fault_of(self._matcher)}")


class Bounds:
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
        number: Any = self._number
        return not number or number[-1] not in b"0123456789" or math.isfinite(float(number))
