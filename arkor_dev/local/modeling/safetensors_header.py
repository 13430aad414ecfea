"""Reads the header of a safetensors file, without torch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TypedDict

if TYPE_CHECKING:
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
