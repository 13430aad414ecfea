"""Quantizes the weights of a GGUF file with llama.cpp's own quantizer.

For rows that are not divisible into a K-quant's blocks of 256, llama.cpp replaces Q5_K by Q5_1, whose 32
levels are spaced evenly between the smallest and the largest weight of a block. Weights that once had 4 bits
(Q4_1) are on 16 levels between the same two, and the nearest of the 32 is always further from the middle: so
every weight grows, and these errors add up from layer to layer. Q5_0's levels are unrelated to those 16. So
for tensors for which llama.cpp chose Q5_1, the closer of the two types is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.resources import available_cores

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .messages import Quantize

ROWS: Final = 256
"""Maximum number of sampled rows of a tensor, evenly spaced."""


def quantize(request: Quantize) -> None:
    """Quantize a file. Raises JobFailure."""
    source, target = request.source, request.target
    _quantize(source, target, request.type, {})
    if types := _better_types(source, target):
        target.unlink()
        _quantize(source, target, request.type, types)


def _quantize(source: Path, target: Path, kind: str, types: Mapping[str, int]) -> None:
    """Write ``target`` with the given ``types`` of tensors by name; llama.cpp chooses the others."""
    import llama_cpp

    from .llama_vocabulary import quiet

    quiet()
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{kind.upper()}")
    params.nthread = available_cores()
    if types:
        # Regular expressions, terminated by an empty one.
        overrides = [(f"^{name}$".replace(".", r"\.").encode(), number) for name, number in types.items()]
        params.tt_overrides = (llama_cpp.llama_model_tensor_override * (len(overrides) + 1))(
            *overrides, (None, 0)
        )
    if llama_cpp.llama_model_quantize(bytes(source), bytes(target), params):
        raise JobFailure(f"llama.cpp cannot write this model in {kind}")


def _better_types(source: Path, written: Path) -> dict[str, int]:
    """Return the types of all quantized tensors if another type would be better for some; else nothing.

    All are listed, since llama.cpp counts the tensors for which it chooses the type: some of each kind get
    more bits.
    """
    import gguf
    from gguf.quants import dequantize

    kinds = gguf.GGMLQuantizationType
    written_types = {tensor.name: tensor.tensor_type for tensor in gguf.GGUFReader(written).tensors}
    chosen = {
        name: kind for name, kind in written_types.items() if kind not in (kinds.F32, kinds.F16, kinds.BF16)
    }
    for tensor in gguf.GGUFReader(source).tensors if kinds.Q5_1 in chosen.values() else ():
        if chosen.get(tensor.name) == kinds.Q5_1:
            rows = tensor.data.reshape(-1, tensor.data.shape[-1])
            weights = dequantize(rows[:: max(1, len(rows) // ROWS)], tensor.tensor_type)
            chosen[tensor.name] = min((kinds.Q5_1, kinds.Q5_0), key=lambda kind: _error(weights, kind))
    unchanged = all(written_types[name] == kind for name, kind in chosen.items())
    return {} if unchanged else {name: int(kind) for name, kind in chosen.items()}


def _error(weights: object, kind: object) -> float:
    """Return the mean squared error of ``weights`` when quantized as ``kind``."""
    from gguf.quants import dequantize, quantize

    return float(((dequantize(quantize(weights, kind), kind) - weights) ** 2).mean())
