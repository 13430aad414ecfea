"""Embeddings of texts without a forward pass: weighted sums of the base model's token embeddings.

The mean of all token embeddings is subtracted (after Mu and Viswanath 2018), and each is scaled to unit
length. Tokens are weighted as in tf-idf with a logarithmic frequency, which has the same effect as the
weights of Arora et al. (2017). ``scripts/bench groups`` compares them with means of the model's last layer.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

NAMES: Final = re.compile(
    r"(?:^|\.)(?:embed_tokens|tok_embeddings|word_embeddings|embed_in|wte|embeddings?)\.weight$"
)
"""Names of the token embeddings in the weights of transformers' models; position embeddings have others."""
NUMBERS: Final = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
HEADER: Final = 100_000_000
"""Maximum size in bytes of a header in the safetensors format."""
LONGEST_WORD: Final = 4
SAMPLE: Final = 8192
"""Number of token embeddings from which the mean is computed, evenly spaced."""


class TokenVectors:
    """The token embeddings of the model in ``folder``, read as needed. Raises JobFailure without any."""

    def __init__(self, folder: Path) -> None:
        try:
            self._table, self._half = _table(folder)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
            raise JobFailure(f"The model's files cannot be read: {fault}") from None
        self.count, self.width = self._table.shape
        step = -(-self.count // SAMPLE)
        self._mean = self._numbers(slice(None, None, step)).mean(0)

    def _numbers(self, at: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        values = self._table[at]
        if self._half:  # bfloat16 is the upper half of a float32
            return (values.astype(np.uint32) << 16).view(np.float32)
        return values.astype(np.float32)

    def __call__(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors ``[tokens, width]`` of token ids, centered and scaled to unit length."""
        vectors = self._numbers(tokens) - self._mean
        unit: NDArray[np.float32] = vectors / np.maximum(
            np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12
        )
        return unit

    def words(
        self, rows: Sequence[Sequence[int]], begins: Callable[[int], bool]
    ) -> tuple[list[Counter[int]], NDArray[np.float32]]:
        """Return how often each row has each word, by the word's number, and the words' vectors.

        ``begins`` says whether a token id begins a word. In scripts without spaces, a word ends after
        `LONGEST_WORD` tokens.
        """
        numbers: dict[tuple[int, ...], int] = {}
        counted: list[Counter[int]] = []
        known = {token: begins(token) for token in {token for ids in rows for token in ids}}
        for ids in rows:
            words: list[list[int]] = []
            for token in ids:
                if not words or known[token] or len(words[-1]) == LONGEST_WORD:
                    words.append([])
                words[-1].append(token)
            counted.append(Counter(numbers.setdefault(tuple(word), len(numbers)) for word in words))
        vectors = np.zeros((len(numbers), self.width), np.float32)
        for word, number in numbers.items():
            tokens = np.array(word)
            vectors[number] = self(tokens[tokens < self.count]).sum(0)
        return counted, vectors

    def embed(self, rows: Sequence[Sequence[int]], tell: Callable[[int], None]) -> NDArray[np.float16]:
        """Return an embedding of unit length for each row's token ids, ``[rows, width]``, float16.

        ``tell`` is called with the number of rows done so far.
        """
        sets = [np.unique(np.array(ids, np.int64), return_counts=True) for ids in rows]
        with_token = Counter(int(token) for tokens, _ in sets for token in tokens)
        vectors = np.zeros((len(rows), self.width), np.float16)
        for at, (tokens, counts) in enumerate(sets):
            known = tokens < self.count
            rare = [math.log(1 + len(rows) / with_token[int(token)]) for token in tokens[known]]
            summed = ((1 + np.log(counts[known])) * rare) @ self(tokens[known])
            vectors[at] = summed / max(float(np.linalg.norm(summed)), 1e-12)
            tell(at + 1)
        return vectors


def _table(folder: Path) -> tuple[NDArray[np.float32 | np.float16 | np.uint16], bool]:
    """Return the stored token embeddings, and whether they are bfloat16, which NumPy does not support."""
    tables = []
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size)) if size < HEADER else {}
        for name, tensor in header.items():
            if NAMES.search(name) and len(shape := tensor["shape"]) == 2:
                tables.append((shape, path, 8 + size + tensor["data_offsets"][0], tensor["dtype"]))
    if not tables:
        raise JobFailure("The model's files name no token embeddings, of which those of rows are made")
    # The longest table is that of the vocabulary.
    shape, path, start, numbers = max(tables, key=lambda candidate: candidate[0][0])
    if numbers not in NUMBERS:
        raise JobFailure(f"The model's token embeddings are stored as {numbers[:20]}, which is not read here")
    table = np.memmap(path, NUMBERS[numbers], "r", start, (shape[0], shape[1]))
    return table, numbers == "BF16"
