"""Finds similar, grouped and surprising rows in a view's embeddings and losses, and draws a map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from arkor_dev.local.embeddings.store import EmbeddedRows, RowLosses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.contract.dataset_shapes import RowGroups, RowMap, SurprisingRow

CHUNK: Final = 8192
MAP_ROWS: Final = 10_000
"""Maximum number of rows on a map, spread over the data set."""


class EmbeddingFile:
    """The embeddings in ``file``. Raises IndexError if it is missing."""

    def __init__(self, file: str) -> None:
        self.file = file
        rows = EmbeddedRows.read(Path(file))
        if rows is None:
            raise IndexError(file)
        self._rows = rows
        self._places = {int(number): index for index, number in enumerate(rows.numbers) if number}
        self._mean = rows.vectors.mean(0, dtype=np.float64).astype(np.float32)
        self._norms = np.concatenate([np.linalg.norm(part, axis=1) for part in self._centered()])

    def _centered(self) -> Iterator[np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
        vectors = self._rows.vectors
        for start in range(0, len(vectors), CHUNK):
            yield vectors[start : start + CHUNK].astype(np.float32) - self._mean

    def similar(self, number: int, count: int) -> list[tuple[int, float, bool]]:
        """Return the rows most similar to a row: their number, cosine, and whether they are held out.

        Raises IndexError for a row without an embedding.
        """
        if number not in self._places:
            raise IndexError(number)
        own = self._places[number]
        query = self._rows.vectors[own].astype(np.float32) - self._mean
        products = np.concatenate([part @ query for part in self._centered()])
        cosines = products / np.maximum(self._norms * self._norms[own], 1e-12)
        cosines[own] = np.nan  # so that it is sorted last
        cosines[self._rows.numbers == 0] = np.nan
        best = np.argsort(-cosines, kind="stable")[:count]
        return [
            (int(self._rows.numbers[at]), round(float(cosines[at]), 4), bool(self._rows.held_out[at]))
            for at in best
            if np.isfinite(cosines[at])
        ]

    def groups(self) -> RowGroups:
        """Return the groups in the contract's form."""
        facts = self._rows.facts
        return {
            "rows": facts["rows"],
            "heldOut": facts["heldOut"],
            "skipped": facts["skipped"],
            "groups": facts["groups"],
        }

    def members(self, group: int) -> frozenset[int]:
        """Return the numbers of a group's rows."""
        return frozenset(map(int, self._rows.numbers[self._rows.groups == group]))

    def map(self) -> RowMap:
        """Return the rows' first two principal components, scaled into -1 to 1."""
        places = np.flatnonzero(self._rows.numbers)
        places = places[:: max(1, -(-len(places) // MAP_ROWS))]
        points = self._rows.points[places]
        points = np.round(points / max(float(np.abs(points).max(initial=0)), 1e-12), 4)
        return {
            "rows": self._rows.numbers[places].tolist(),
            "x": points[:, 0].tolist(),
            "y": points[:, 1].tolist(),
            "groups": self._rows.groups[places].tolist(),
        }


def surprising(file: str, start: int, count: int) -> list[SurprisingRow]:
    """Return rows sorted by the losses in ``file``, highest first, from position ``start`` (1-based) on.

    Raises IndexError if it is missing.
    """
    losses = RowLosses.read(Path(file))
    if losses is None:
        raise IndexError(file)
    places = np.flatnonzero((losses.numbers > 0) & np.isfinite(losses.losses))
    order = places[np.argsort(-losses.losses[places], kind="stable")][start - 1 : start - 1 + count]
    return [{"row": int(losses.numbers[at]), "loss": round(float(losses.losses[at]), 4)} for at in order]
