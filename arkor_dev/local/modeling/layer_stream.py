"""Streams the frozen weights of decoder layers from their safetensors files, on a CPU.

With an adapter the base's weights are only read, so they need not be in memory. transformers already maps
them from their files, and the system may drop such pages and read them again. That alone bounds nothing: all
pages stay resident until memory is short, those that are needed next are then the first to go, and the
backward pass reads the weights of all layers. The mapping is also private and writable, which counts against
limits like a process's own memory. So here

- the files are mapped read-only, and torch's tensors are views of them: weights in the files' dtype are not
  copied, and all processes share the system's page cache;
- the weights of at most `RESIDENT` layers are resident. Others are dropped by ``madvise(2)``, and the next
  layer, in the direction of the pass, is read ahead while one computes;
- the backward pass recomputes the activations of one layer at a time (activation checkpointing), so it needs
  the layers in reverse order. The arithmetic is the same, and so are all bits of the result;
- if the computation has another dtype than the files, a layer's weights are converted when it is used, and
  the copies dropped with it.

The embeddings, the output layer and the norms stay mapped or converted: of a large model they are a small
part.

Imported by worker processes only: it imports torch and transformers.
"""

from __future__ import annotations

import errno
import json
import math
import mmap
import os
import warnings
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors import safe_open
from transformers.modeling_layers import GradientCheckpointingLayer

from arkor_dev.local.workers.errors import JobFailure

from .safetensors_header import header_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RESIDENT: Final = 2
"""Layers whose weights are resident at once: the one that computes, and the one before it."""
PAGE: Final = mmap.PAGESIZE
POPULATE_READ: Final = 22
"""``MADV_POPULATE_READ`` of Linux 5.14: reads pages at once. An unreadable one is an error, not SIGBUS."""
SUPPORTED: Final = hasattr(mmap, "MADV_DONTNEED")
"""Whether the system can drop mapped pages: not Windows."""
DTYPES: Final = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
INDEX: Final = "model.safetensors.index.json"
SINGLE: Final = "model.safetensors"


class WeightsLostError(JobFailure):
    """A file of the model's weights changed or became unreadable while it was in use."""


@dataclass(slots=True, eq=False, weakref_slot=True)
class MappedFile:
    """A safetensors file, mapped read-only. Raises OSError or SafetensorError if it is damaged."""

    path: Path
    pages: mmap.mmap = field(init=False)
    _descriptor: int = field(init=False)
    _state: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        with safe_open(self.path, framework="numpy"):
            pass  # checks the header and the file's size
        with self.path.open("rb") as file:
            self._descriptor = os.dup(file.fileno())
            weakref.finalize(self, os.close, self._descriptor)
            self.pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._state = self._stat()

    def _stat(self) -> tuple[int, int]:
        now = os.fstat(self._descriptor)
        return now.st_size, now.st_mtime_ns

    def check(self) -> None:
        """Raise WeightsLostError if somebody has written to the file since it was mapped."""
        try:
            same = self._stat() == self._state
        except OSError as error:
            raise self.lost(error.strerror or str(error)) from error
        if not same:
            raise self.lost("the file was changed")

    def lost(self, reason: str) -> WeightsLostError:
        return WeightsLostError(f"The model's weights in {self.path.name} can no longer be read: {reason}")

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return a view of each tensor in the file, by name."""
        header, start = header_of(self.path)
        found = {}
        for name, tensor in header.items():
            dtype, shape, (first, end) = DTYPES[tensor["dtype"]], tensor["shape"], tensor["data_offsets"]
            count, at = math.prod(shape), start + first
            if not count:
                found[name] = torch.empty(shape, dtype=dtype)
                continue
            # torch cannot view numbers that straddle their alignment.
            buffer, at = (
                (self.pages, at) if at % dtype.itemsize == 0 else (bytearray(self.pages[at : start + end]), 0)
            )
            found[name] = _view(buffer, dtype, count, at).view(shape)
        return found


def _view(buffer: mmap.mmap | bytearray, dtype: torch.dtype, count: int, at: int) -> torch.Tensor:
    """Return a tensor of ``count`` numbers that shares the bytes of ``buffer`` from ``at`` on."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given buffer is not writable")
        return torch.frombuffer(buffer, dtype=dtype, count=count, offset=at)


def _converted(stored: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return a copy in ``dtype``, in pages of its own: freed ones are the system's again at once.

    The allocator keeps what is freed, and new layers do not fill its gaps: several layers more were resident.
    """
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    pages = mmap.mmap(-1, stored.numel() * dtype.itemsize, flags=flags)
    return _view(pages, dtype, stored.numel(), 0).view(stored.shape).copy_(stored)


class MappedWeights:
    """The safetensors files of a model's folder, and views of their ``tensors`` by name.

    Raises OSError, ValueError or SafetensorError for damaged files, KeyError for numbers unknown to torch.
    """

    def __init__(self, folder: Path) -> None:
        self.files = [MappedFile(path) for path in _files(folder)]
        self.tensors: dict[str, torch.Tensor] = {}
        for file in self.files:
            self.tensors |= file.tensors()
        self._starts = [(_view(file.pages, torch.uint8, 1, 0).data_ptr(), file) for file in self.files]

    def span_of(self, tensor: torch.Tensor) -> Span | None:
        """Return the pages of ``tensor``; None if it is not, or no longer, a view of a file."""
        address = tensor.data_ptr()
        for start, file in self._starts:
            if start <= address and address + tensor.nbytes <= start + len(file.pages):
                first = (address - start) // PAGE * PAGE
                return Span(file, first, address - start + tensor.nbytes - first)
        return None


def _files(folder: Path) -> list[Path]:
    """Return the files that transformers loads, in its order of preference."""
    if (single := folder / SINGLE).is_file():
        return [single]
    names: Mapping[str, str] = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
    paths = [folder / name for name in dict.fromkeys(names.values())]
    if any(path.parent != folder for path in paths):
        raise ValueError(f"{INDEX} names files outside of the model's folder")
    return paths


@dataclass(frozen=True, slots=True)
class Span:
    """The pages of a tensor in a file, from byte ``start`` of the mapping on."""

    file: MappedFile
    start: int
    length: int

    def advise(self, option: int) -> None:
        self.file.pages.madvise(option, self.start, self.length)

    def read(self) -> None:
        """Make the pages resident. Raises WeightsLostError if they cannot be read."""
        try:
            self.advise(POPULATE_READ)
        except OSError as error:
            if error.errno != errno.EINVAL:  # an older kernel reads them when they are used
                raise self.file.lost(error.strerror or str(error)) from error


@dataclass(frozen=True, slots=True)
class _Weight:
    """A frozen weight: the model's parameter, its values in the file, and their pages."""

    parameter: torch.nn.Parameter
    stored: torch.Tensor
    span: Span


class LayerStream:
    """Keeps at most `RESIDENT` of a model's decoder layers in memory, once `start` is called.

    ``unsuited`` says why the layers cannot be streamed, or is None. The model must have been loaded from
    ``mapped``.
    """

    def __init__(self, model: Any, mapped: MappedWeights) -> None:
        self.active = False
        self.unsuited: str | None = None
        self._mapped, self._dtype = mapped, torch.float32
        self._modules = [
            module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)
        ]
        self._layers = [self._weights_of(module) for module in self._modules]
        self._embeddings = model.get_input_embeddings()
        self._resident: list[int] = []
        if not self.bytes:
            self.unsuited = "its layers are not of a kind that can be recomputed"

    def _weights_of(self, module: Any) -> list[_Weight]:
        found = []
        for name, parameter in module.named_parameters():
            if parameter.dim() < 2:  # norms and biases
                continue
            if span := self._mapped.span_of(parameter):
                found.append(_Weight(parameter, parameter.data, span))
            else:
                self.unsuited = f"{name} is converted when it is loaded"
        return found

    @property
    def bytes(self) -> int:
        """Bytes of all layers' weights in the files."""
        return sum(weight.stored.nbytes for layer in self._layers for weight in layer)

    @property
    def weights(self) -> set[int]:
        """The ids of the parameters that are streamed."""
        return {id(weight.parameter) for layer in self._layers for weight in layer} if self.active else set()

    def holds(self, tensor: torch.Tensor) -> bool:
        """Return whether ``tensor`` is a view of a streamed weight as it is now."""
        if not self.active:
            return False
        storage = tensor.untyped_storage().data_ptr()
        layers = (self._layers[number] for number in self._resident)
        return any(
            weight.parameter.untyped_storage().data_ptr() == storage for layer in layers for weight in layer
        )

    def start(self, dtype: torch.dtype) -> None:
        """Stream the layers from now on, and compute with them in ``dtype``."""
        self._dtype, self.active = dtype, True
        self._embeddings.register_forward_pre_hook(lambda *_: self._check())
        for number, (module, layer) in enumerate(zip(self._modules, self._layers, strict=True)):
            # A recomputation calls the layer's parts, but not the layer with its hooks.
            for part in module.children():
                part.register_forward_pre_hook(lambda *_, number=number: self._enter(number))
            for weight in layer:
                self._drop(weight)
        self.release()

    def release(self) -> None:
        """Drop all resident pages of the files; what is used is read again."""
        for file in self._mapped.files:
            file.pages.madvise(mmap.MADV_DONTNEED)

    def _check(self) -> None:
        """Raise WeightsLostError if a file was written to: a page that it no longer has must not be used."""
        for file in self._mapped.files:
            file.check()

    def _enter(self, number: int) -> None:
        """Make a layer resident that is about to compute, and read the next one ahead."""
        resident = self._resident
        if resident and resident[-1] == number:
            return
        self._check()
        before = resident[-1] if resident else -1
        if number in resident:
            resident.remove(number)
        else:
            while len(resident) >= RESIDENT:
                for weight in self._layers[resident.pop(0)]:
                    self._drop(weight)
            for weight in self._layers[number]:
                self._make_resident(weight)
        resident.append(number)
        ahead = number - 1 if number == before - 1 else number + 1
        if 0 <= ahead < len(self._layers) and ahead not in resident:
            for weight in self._layers[ahead]:
                weight.span.advise(mmap.MADV_WILLNEED)

    def _make_resident(self, weight: _Weight) -> None:
        weight.span.read()
        if weight.stored.dtype != self._dtype:
            weight.parameter.data = _converted(weight.stored, self._dtype)
            weight.span.advise(mmap.MADV_DONTNEED)

    def _drop(self, weight: _Weight) -> None:
        if weight.stored.dtype == self._dtype:
            weight.parameter.data = weight.stored
            weight.span.advise(mmap.MADV_DONTNEED)
        else:
            # One NaN for all elements: a use outside of the layer would be noticed at once.
            weight.parameter.data = torch.tensor(math.nan, dtype=self._dtype).expand(weight.stored.shape)
