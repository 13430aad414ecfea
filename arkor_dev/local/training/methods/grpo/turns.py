"""Generates the answers of several conversations side by side, whose keys and values are kept between turns.

Every answer of a turn is generated in one batch, which shrinks as answers end. What a conversation has read
is never read again: a turn begins with the tokens that are new to it. Imports torch: for workers only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import torch

from arkor_dev.local.evaluation.answers import Stopped
from arkor_dev.local.modeling.kv_cache import Forward, Layers, cache_of, joined, layers_of
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from torch import Tensor
    from torch.nn import Module
    from transformers import DynamicCache


@dataclass(eq=False)
class TokenizedConversation:
    """One conversation as tokens: those that have been read, and ``unread``, which come next.

    ``index`` is its number among all. ``written`` counts the tokens that the model has generated in it.
    """

    index: int
    unread: list[int]
    read: int = 0
    written: int = 0
    layers: Layers = field(default_factory=list, repr=False)
    """Keys and values of what has been read, one row."""


class Choose(Protocol):
    """Chooses the next token of each conversation by its ``logits``, ``[conversations, words]``."""

    def __call__(self, logits: Tensor, conversations: Sequence[TokenizedConversation], /) -> list[int]: ...


class TurnGenerator:
    """Generates answers with ``model``, each up to one of the tokens ``ends``.

    Raises JobFailure for a model whose memory of a text is more than keys and values. ``stopped`` is asked
    at each token; then Stopped is raised.
    """

    def __init__(
        self, model: Module, ends: Collection[int], choose: Choose, stopped: Callable[[], bool]
    ) -> None:
        self._forward, self._ends, self._choose, self._stopped = Forward(model), ends, choose, stopped
        if not self._forward.plain:
            raise JobFailure(
                "An environment needs a model whose layers keep keys and values of each token, and this one "
                "has others: choose another model, or train without the environment"
            )

    def generate(
        self, conversations: Sequence[TokenizedConversation], longest: Sequence[int]
    ) -> list[list[int]]:
        """Return the next answer of each conversation, of at most so many tokens, with its end if it has one.

        The last token of an answer is its conversation's new ``unread``.
        """
        rows_read, cache, logits = self._read(conversations)
        active = _Active(rows_read, cache)
        answers: dict[int, list[int]] = {each.index: [] for each in conversations}
        limits = {each.index: limit for each, limit in zip(conversations, longest, strict=True)}
        unfinished = len(active.rows)
        while True:
            if self._stopped():
                raise Stopped
            rows = [row for row, each in enumerate(active.rows) if each.writing]
            tokens = self._choose(logits[rows], [active.rows[row].conversation for row in rows])
            for row, token in zip(rows, tokens, strict=True):
                one = active.rows[row]
                answer = answers[one.conversation.index]
                answer.append(token)
                one.conversation.written += 1
                one.conversation.unread = [token]
                one.writing = token not in self._ends and len(answer) < limits[one.conversation.index]
                unfinished -= not one.writing
            if 2 * unfinished <= len(active.rows):  # each time, all keys and values are copied
                active.drop_finished()
            if not unfinished:
                return [answers[each.index] for each in conversations]
            logits = active.step(self._forward)

    def _read(
        self, conversations: Sequence[TokenizedConversation]
    ) -> tuple[list[_Row], DynamicCache, Tensor]:
        """Read what is unread; return the rows in one cache, and the logits after their last tokens.

        Rows with equally many unread tokens are read together, so that nothing lies between what was cached
        and what is new; a prompt that begins several conversations is read once.
        """
        by_length: dict[int, list[TokenizedConversation]] = {}
        for each in conversations:
            by_length.setdefault(len(each.unread), []).append(each)
        rows: list[_Row] = []
        logits, caches = [], []
        for group in by_length.values():
            firsts: dict[tuple[int, ...], int] = {}
            unread: list[TokenizedConversation] = []
            places = []
            for each in group:
                key = (-1 - each.index,) if each.read else tuple(each.unread)
                if key not in firsts:
                    firsts[key] = len(unread)
                    unread.append(each)
                places.append(firsts[key])
            cached = [each.layers for each in unread if each.read]
            assert len(cached) in (0, len(unread)), "a turn begins with all prompts, or with none"
            cache = joined(cached) if cached else cache_of([])
            output = self._forward([each.unread for each in unread], [each.read for each in unread], cache)
            layers = layers_of(cache)
            if len(places) > len(unread):
                index = torch.tensor(places, device=output.device)
                output = output[index]
                layers = [(keys[index], values[index]) for keys, values in layers]
            logits.append(output)
            caches.append(layers)
            for each in group:
                each.read += len(each.unread)
                each.layers = []
                rows.append(_Row(each, each.read))
        return rows, joined(caches) if len(caches) > 1 else cache_of(caches[0]), torch.cat(logits)


@dataclass(eq=False)
class _Row:
    """A row of the batch with ``tokens`` in the cache, of which those past ``conversation.read`` are filler:
    a finished row repeats its last token until the batch shrinks.
    """

    conversation: TokenizedConversation
    tokens: int
    writing: bool = True


class _Active:
    """The batch of one turn."""

    def __init__(self, rows: list[_Row], cache: DynamicCache) -> None:
        self.rows, self._cache = rows, cache

    def step(self, forward: Forward) -> Tensor:
        """Read each row's last token; return the logits after it, ``[rows, words]``."""
        tokens = [[row.conversation.unread[-1]] for row in self.rows]
        logits = forward(tokens, [row.tokens for row in self.rows], self._cache)
        for row in self.rows:
            row.tokens += 1
            if row.writing:
                row.conversation.read += 1
        return logits

    def drop_finished(self) -> None:
        """Give finished conversations their keys and values, and remove them from the batch."""
        layers = layers_of(self._cache)
        width = layers[0][0].shape[-2]
        for index, row in enumerate(self.rows):
            if not row.writing:
                start = width - row.tokens
                end = start + row.conversation.read
                row.conversation.layers = [
                    tuple(part[index : index + 1, :, start:end].clone() for part in layer) for layer in layers
                ]
        kept = [index for index, row in enumerate(self.rows) if row.writing]
        self.rows = [self.rows[index] for index in kept]
        if kept:
            longest = max(row.tokens for row in self.rows)
            self._cache = cache_of(
                [tuple(part[kept, :, width - longest :] for part in layer) for layer in layers]
            )
