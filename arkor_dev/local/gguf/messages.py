"""Messages to and from the process that creates one file of the cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from arkor_dev.local.workers.codec import Codec, Message


@dataclass(frozen=True)
class CreateGguf(Message):
    """Create the file of the base model called ``name`` in the folder ``model``, or of its ``adapter``."""

    model: Path
    name: str
    cache: Path
    quantization: str = "f16"
    adapter: Path | None = None


@dataclass(frozen=True)
class GgufCreated(Message):
    """The file is there."""

    path: Path


@dataclass(frozen=True)
class CheckSupport(Message):
    """Check that llama.cpp's converter knows the model in ``source``. As for all tasks of the limited
    process, ``memory`` is its limit in bytes.
    """

    memory: int
    converters: Path
    source: Path


@dataclass(frozen=True)
class ConvertModel(Message):
    """Convert the model called ``name`` in ``source`` to the file ``target`` with weights of ``type``."""

    memory: int
    converters: Path
    source: Path
    name: str
    type: str
    target: Path
    scratch: Path


@dataclass(frozen=True)
class ConvertLora(Message):
    """Convert the adapter in ``source`` to the file ``target``, scaled by ``strength``."""

    memory: int
    converters: Path
    source: Path
    base: Path
    strength: float
    target: Path
    scratch: Path


@dataclass(frozen=True)
class Quantize(Message):
    """Quantize the 16-bit file ``source`` to ``target`` as ``type``."""

    memory: int
    source: Path
    target: Path
    type: str


@dataclass(frozen=True)
class TaskDone(Message):
    """The task is done."""


Conversion = CheckSupport | ConvertModel | ConvertLora | Quantize
CONVERSIONS = Codec[Conversion](CheckSupport, ConvertModel, ConvertLora, Quantize)
