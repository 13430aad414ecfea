"""Reads the headers of safetensors files, without torch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HEADER_BYTES: Final = 100_000_000
"""The format's limit for the header of a file."""


class TensorEntry(TypedDict):
    """A tensor: its dtype as the format spells it, and the first and last offset of its bytes in the data.

    Read from a file as it is: a damaged one may have other fields or values.
    """

    dtype: str
    shape: list[int]
    data_offsets: list[int]


def header_of(path: Path) -> tuple[dict[str, TensorEntry], int]:
    """Return each tensor's entry by name, and the offset of the data. Raises OSError or ValueError."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > HEADER_BYTES:
            raise ValueError(f"{path.name} is not a safetensors file")
        tensors = json.loads(file.read(length))
    tensors.pop("__metadata__", None)
    return tensors, 8 + length


def missing_layer(folder: Path, names: Sequence[str]) -> str | None:
    """Return why an adapter's target modules ``names`` do not fit the model in ``folder``; None if they may.

    By the names of its weights, so that no library is loaded. Experts are skipped: a model's code may merge
    their weights under other names. Raises OSError or ValueError.
    """
    shapes: dict[str, int] = {}
    for path in sorted(folder.glob("*.safetensors")):
        for name, tensor in header_of(path)[0].items():
            if "expert" in name:
                return None
            layer = name.rpartition(".")[0].rpartition(".")[2]
            shapes[layer] = max(shapes.get(layer, 0), len(tensor["shape"]))
    missing = [name for name in names if name.rpartition(".")[2] not in shapes]
    if not shapes or not missing:
        return None
    matrices = ", ".join(layer for layer, dimensions in shapes.items() if dimensions > 1)
    return f"lora.target_modules: the model has no layer called {missing[0]}. It has {matrices}"
