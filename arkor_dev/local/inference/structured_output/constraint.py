"""An answer that has to fit a schema: which tokens may come next, and when it is whole."""

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

KEPT: Final = 16
"""Compiled schemas that are kept with a vocabulary: a program asks many questions with one."""
DIGITS: Final = 300
"""Characters of a number, at most: other programs read no more."""
NESTED: Final = 100
"""Lists and objects inside each other, at most: as deep as Studio itself reads JSON."""

End = Literal["stop", "length"] | None


class Vocabulary:
    """A model's tokens, whichever engine computes it, with the schemas that were compiled for them."""

    def __init__(self, tokenizer: Any, tokens: LLTokenizer) -> None:
        self.tokenizer = tokenizer
        self.tokens = tokens
        self._compiled: OrderedDict[str, LLMatcher] = OrderedDict()

    @classmethod
    def of(cls, tokenizer: Any, ends: Sequence[int]) -> Vocabulary:
        """Of a tokenizer of transformers, and the tokens that end an answer; raises :class:`JobFailure`."""
        from .grammar import vocabulary_of

        return cls(tokenizer, vocabulary_of(tokenizer, ends))

    def follow(self, schema: str, field: str) -> Constraint:
        """Begin an answer that fits ``schema`` (the JSON of one that ``schemas.read`` has written).

        Raises :class:`JobFailure`, beginning with the ``field`` that asks for it, where it makes no grammar.
        """
        # Here and not above: most processes that answer never need it.
        from .grammar import GrammarError, matcher_of

        if schema not in self._compiled:
            try:
                self._compiled[schema] = matcher_of(schema, self.tokens)
            except GrammarError as fault:
                raise JobFailure(f"{field} cannot be obeyed: {fault}") from fault
        self._compiled.move_to_end(schema)
        if len(self._compiled) > KEPT:
            self._compiled.popitem(last=False)
        return Constraint(self._compiled[schema].deep_copy(), self.tokens, field)


class Constraint:
    """One answer, token by token: :meth:`allowed`, then :meth:`take` with the one that was chosen."""

    def __init__(self, matcher: LLMatcher, tokens: LLTokenizer, field: str) -> None:
        self._field = field
        self._matcher = matcher
        self._tokens = tokens
        self._bounds = Bounds()

    def allowed(self, size: int) -> NDArray[np.bool_]:
        """Which of a vocabulary of ``size`` tokens may come next. Raises :class:`JobFailure`."""
        found = np.zeros(size, np.bool_)
        told = np.frombuffer(self._matcher.compute_logit_bias(), np.uint8)[:size]
        found[: told.size] = told != 0
        self._check()
        return found

    def take(self, token: int) -> End:
        """Go on with ``token``: why the answer ends with it, if it does. Raises :class:`JobFailure`.

        It ends with ``stop`` where it is whole, so that nothing can follow; with ``length`` where a number or
        its nesting becomes more than other programs read.
        """
        self._matcher.consume_token(token)
        self._check()
        if not self._bounds.push(self._tokens.decode_bytes([token])):
            return "length"
        return "stop" if self._matcher.is_stopped() else None

    def _check(self) -> None:
        if self._matcher.is_error():
            from .grammar import fault_of

            raise JobFailure(f"{self._field} cannot be obeyed any further: {fault_of(self._matcher)}")


class Bounds:
    """What a schema leaves open and a parser does not: numbers and nesting without an end."""

    def __init__(self) -> None:
        self._number = bytearray()
        self._depth = 0
        self._quoted = self._escaped = False

    def push(self, data: bytes) -> bool:
        """Whether JSON that goes on with ``data`` can still be read by other programs."""
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
        # In the middle of a number its last character may be no digit.
        number: Any = self._number
        return not number or number[-1] not in b"0123456789" or math.isfinite(float(number))
