"""Exports models that read texts, and verifies the numbers that they compute: vectors, or logits.

The weights are float32, with the adapter merged into the base: rounding them would move the vectors away from
those of an index that was made before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch

from arkor_dev.local.inference.adapter_scale import FULL_STRENGTH, AdapterScale
from arkor_dev.local.jobs.atomic_folder import write_atomically
from arkor_dev.local.modeling.adapted_model import with_adapter
from arkor_dev.local.modeling.classes import Classes
from arkor_dev.local.modeling.embedder import is_embedder
from arkor_dev.local.modeling.head import with_head
from arkor_dev.local.workers.errors import JobFailure

from .export import ADAPTER, ROWS, ExportTask
from .files import free_memory, load_in_float32
from .proof import CLOSE, difference, outputs_proof

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from arkor_dev.contract.shapes import ExportProof
    from arkor_dev.data.rows import Row
    from arkor_dev.local.modeling.base_model import Base


class OutputsExport(ExportTask, ABC):
    """As `ExportTask`, for a model that reads texts; a subclass computes the outputs and writes the files.

    At most ``rows_read`` rows are compared, and ``figures`` is the proof's sentence as in `outputs_proof`.
    """

    dtype = torch.float32
    rows_read: ClassVar[int] = ROWS
    figures: ClassVar[str]

    @property
    def _allowed(self) -> float:
        """Return the largest distance with which two models count as equal."""
        return CLOSE

    def make(self, rows: Sequence[Row]) -> ExportProof:
        """Write and verify the export with the texts of ``rows``. See `ExportTask.make`."""
        if not rows:
            raise JobFailure("The job's rows can't be read, so nothing could be verified")
        if not self.in_place:
            self._check_room()
        rows = rows[:: max(1, -(-len(rows) // self.rows_read))]
        self.progress(f"Loading {self.name}", 0, None, "")
        base = self._load()
        of_trained = self._outputs("the trained model", base, rows)
        with base.model.disable_adapter():
            of_base = self._outputs("the base model", base, rows)
        if not self.in_place:
            self.progress("Writing", 0, None, "")
            write_atomically(self.target, lambda folder: self._fill(folder, base))
            self.written(self._files())
        base.model = None
        free_memory()
        self.progress("Testing the exported files", 0, None, "")
        of_exported = self._read_outputs(rows)
        distances = self._distance(of_trained, of_exported), self._distance(of_trained, of_base)
        return outputs_proof(len(of_trained), *distances, self.figures, self._allowed)

    def _load(self) -> Base:
        """Load the base; its ``model`` is the trained one, at the export's strength."""
        headed = not is_embedder(self.source)
        base = load_in_float32(self.base, four_bit=self.four_bit, headed=headed)
        model = base.model.eval()
        if headed:
            model = with_head(model, Classes.read(self.source))
        base.model = with_adapter(model, self.source)
        if self.strength != FULL_STRENGTH:
            AdapterScale(base.model, ADAPTER).set(self.strength)
        return base

    @abstractmethod
    def _outputs(self, subject: str, base: Base, rows: Sequence[Row]) -> Tensor:
        """Return what the trained model of `_load` computes for the rows' texts, ``[texts, …]``."""

    @abstractmethod
    def _fill(self, folder: Path, base: Base) -> None:
        """Write all files of the export into ``folder``; ``base`` as in `_load`, not needed afterwards."""

    @abstractmethod
    def _read_outputs(self, rows: Sequence[Row]) -> Tensor:
        """Return what the exported files compute, as any program with their library gets it."""

    def _distance(self, trained: Tensor, other: Tensor) -> float:
        """Return how far two models' outputs are from each other, each ``[texts, …]``."""
        return difference(trained, other)
