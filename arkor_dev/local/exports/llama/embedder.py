"""Exports an embedder as GGUF, and verifies that llama.cpp computes the trained model's vectors."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from arkor_dev.local.cards.writer import describe_merged
from arkor_dev.local.exports.embedder import EmbedderExport, texts_of
from arkor_dev.local.exports.files import merge, save_merged
from arkor_dev.local.gguf.files import FULL, check_support, convert, quantize
from arkor_dev.local.gguf.limited import ProcessLimits, run
from arkor_dev.local.modeling.embedder import FILE
from arkor_dev.local.modeling.gate import ENCODERS, encoder_in
from arkor_dev.local.workers.errors import JobFailure

from .export import MODEL
from .messages import EmbeddedByLlama, EmbedWithLlama
from .verification import CHILD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from arkor_dev.contract.shapes import ExportProof
    from arkor_dev.data.rows import Row
    from arkor_dev.local.modeling.base_model import Base

DISTANCES: Final = {FULL: 1e-3, "q8_0": 0.01}
"""Largest distance, 1 - cosine, of a vector from the trained model's, by quantization; at least twice what
was measured.
"""
LOADED: Final = (None, ENCODERS["bert"])
"""The encoders whose files llama.cpp 0.3.36 loads: not ModernBERT, which its converter writes."""
FIGURES: Final = (
    "in llama.cpp its vectors of {count} texts are {distance} away at most (1 - cosine), the base's {of_base}"
)


@dataclass
class LlamaEmbedderExport(EmbedderExport):
    """As `EmbedderExport`, in the format ``gguf``."""

    figures = FIGURES

    _scratch: Path = field(default_factory=Path, init=False)

    @property
    def _allowed(self) -> float:
        return DISTANCES[self.quantization]

    def make(self, rows: Sequence[Row]) -> ExportProof:
        """Write and verify the export with the texts of ``rows``. See `ExportTask.make`."""
        if self.quantization not in DISTANCES:
            raise JobFailure(
                f"An embedder is exported as gguf in {' or '.join(DISTANCES)}: choose one of them"
            )
        if (encoder := encoder_in(self.base)) not in LOADED:
            raise JobFailure(f"llama.cpp does not load {encoder} as GGUF: choose the format merged or onnx")
        self.target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f"{self.target.name}.", suffix=".part", dir=self.target.parent
        ) as folder:
            self._scratch = Path(folder)
            check_support(self.base, self._scratch, self.cache, self.progress)
            return super().make(rows)

    def _fill(self, folder: Path, base: Base) -> None:
        """See `OutputsExport`."""
        source = self._scratch / "merged"
        source.mkdir()
        save_merged(merge(base.model), base.tokenizer, self.name, torch.float16, source)
        self._embedder.write(source)  # the converter writes its pooling into the file
        last = convert(source, self.quantization, self.name, self._scratch, self.cache, self.progress)
        shutil.rmtree(source)
        if self.quantization != FULL:
            last = quantize(last, self.quantization, self._scratch, self.progress)
        last.replace(folder / MODEL)
        shutil.copyfile(self.source / FILE, folder / FILE)
        describe_merged(self.source, folder, self.strength, self.usage)

    def _read_outputs(self, rows: Sequence[Row]) -> Tensor:
        """Return the vectors of the rows' texts by llama.cpp, which tokenizes them itself."""
        embedder, texts = self._embedder, texts_of(rows)
        prompted = [embedder.prompted(text, kind) for kind, of_kind in texts.items() for text in of_kind]
        limits, file = ProcessLimits.of((self.target / MODEL).stat().st_size), self._scratch / "vectors.npy"
        request = EmbedWithLlama(limits.memory, self.target / MODEL, prompted, file)
        run(CHILD, request, limits.seconds, self.progress, "Testing the exported files", EmbeddedByLlama)
        # The child reads untrusted files, so its output is validated before use.
        vectors = np.load(file, allow_pickle=False)
        if vectors.shape != (len(prompted), embedder.dimensions[-1]) or vectors.dtype != np.float32:
            raise JobFailure("llama.cpp computes vectors of another size than the trained model's")
        return torch.from_numpy(vectors)

    def _distance(self, trained: Tensor, other: Tensor) -> float:
        return float((1 - (trained * other).sum(-1)).abs().max())
