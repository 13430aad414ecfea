"""Streams the frozen weights of decoder layers from their safetensors files.

With an adapter the base's weights are only read, so they need not be in memory. transformers already maps
them from their files, and the system may drop such pages and read them again. That alone bounds nothing: all
pages stay resident until memory is short, those that are needed next are then the first to go, and the
backward pass reads the weights of all layers. The mapping is also private and writable, which counts against
limits like a process's own memory. So here

- the files are mapped read-only, and torch's tensors are views of them: what is not streamed is not copied
  in the files' dtype, and all processes share the system's page cache;
- a layer is read into one of two buffers (`layer_memory`), from which a GPU copies it, while the one before
  it, in the direction of the pass, computes. Reading takes less time than mapping the pages of a layer and
  dropping them, and a file that has become shorter is an error of the read, not a signal that ends the
  process;
- the backward pass needs the layers in reverse order. It uses the activations that layers have kept, as many
  as fit (`kept_activations`), and recomputes those of the others, a layer at a time (activation
  checkpointing). The arithmetic is the same, and so are all bits of the result.

The embeddings, the output layer and the norms stay mapped, converted or on the GPU: of a large model they
are a small part.

Imported by worker processes only: it imports torch and transformers.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import threading
import warnings
import weakref
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import torch
from safetensors import safe_open
from transformers.modeling_layers import GradientCheckpointingLayer

from arkor_dev.local.workers.errors import JobFailure

from .kept_activations import KeptActivations
from .layer_memory import LayerMemory, Slot
from .packed_weight import PackedWeight
from .safetensors_header import header_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from torch.nn import Module

    from .transfers import Transfers

SUPPORTED: Final = hasattr(mmap, "MADV_DONTNEED") and hasattr(os, "preadv")
"""Whether the system can drop mapped pages: not Windows."""
ALIGNMENT: Final = 64
"""Bytes to which weights are aligned in a buffer: a cache line, and the widest vector."""
PATIENCE: Final = 300.0
"""Seconds to wait for a layer. A disk as slow as that would take hours for a step."""
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

    def read(self, start: int, into: memoryview) -> None:
        """Fill ``into`` with the bytes from ``start`` on. Raises WeightsLostError if they cannot be read."""
        try:
            while into:
                if not (count := os.preadv(self._descriptor, [into], start)):
                    raise self.lost("the file is shorter than it was")
                into, start = into[count:], start + count
        except OSError as error:
            raise self.lost(error.strerror or str(error)) from error

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

    def source_of(self, tensor: torch.Tensor) -> tuple[MappedFile, int] | None:
        """Return the file of ``tensor`` and its first byte there; None if it is not, or no longer, a view of
        one.
        """
        address = tensor.data_ptr()
        for start, file in self._starts:
            if start <= address and address + tensor.nbytes <= start + len(file.pages):
                return file, address - start
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
class _Weight:
    """A frozen weight: the model's parameter, and its values in the ``file``, from byte ``start`` on.

    Once it is quantized, they are ``packed`` in main memory.
    """

    parameter: torch.nn.Parameter
    stored: torch.Tensor
    file: MappedFile
    start: int
    packed: PackedWeight | None = None

    @property
    def nbytes(self) -> int:
        return self.packed.nbytes if self.packed else int(self.stored.nbytes)

    def read(self, into: memoryview) -> None:
        """Fill ``into`` with the weight's bytes. Raises WeightsLostError."""
        if self.packed:
            self.packed.read(into)
        else:
            self.file.read(self.start, into)

    def values(self, pages: torch.Tensor) -> torch.Tensor:
        """Return the numbers in ``pages``, the weight's bytes."""
        if self.packed:
            return self.packed.dequantized(pages)
        return pages.view(self.stored.dtype).view(self.stored.shape)


class _Buffer:
    """A buffer for one layer, ``number``, which a thread reads."""

    def __init__(self, slot: Slot) -> None:
        self.slot, self.number = slot, -1
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def weights(self, layer: Sequence[_Weight]) -> Iterator[torch.Tensor]:
        """Yield the layer's weights in this buffer, where they compute."""
        pages, at = self.slot.received(), 0
        for weight in layer:
            yield weight.values(pages[at : at + weight.nbytes])
            at += _aligned(weight.nbytes)

    def load(self, number: int, layer: Sequence[_Weight]) -> None:
        """Start to read a layer."""
        self.wait()  # a thread that still reads another one
        self.number, self._error = number, None
        self._thread = threading.Thread(target=self._read, args=(layer,), daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait until the layer is there. Raises WeightsLostError if it cannot be read."""
        if self._thread:
            self._thread.join(PATIENCE)
            if self._thread.is_alive():
                raise WeightsLostError(
                    f"The disk has not delivered the weights of a layer in {PATIENCE:g} seconds"
                )
            self._thread = None
        if self._error:
            self.number = -1
            error, self._error = self._error, None
            raise error

    def _read(self, layer: Sequence[_Weight]) -> None:
        at = 0
        try:
            pages = memoryview(self.slot.writable().numpy())
            for weight in layer:
                weight.read(pages[at : at + weight.nbytes])
                at += _aligned(weight.nbytes)
            self.slot.send(at)
        except BaseException as error:  # noqa: BLE001 - it is raised where the layer is needed
            self._error = error


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True, slots=True)
class _View:
    """A view of the streamed weights of layer ``number``: where it is in the layer's memory."""

    stream: LayerStream
    number: int
    dtype: torch.dtype
    size: torch.Size
    stride: tuple[int, ...]
    offset: int

    def tensor(self) -> torch.Tensor:
        return self.stream.viewed(self)


class LayerStream:
    """Keeps at most two of a model's decoder layers in memory, once `start` is called.

    ``unsuited`` says why the layers cannot be streamed, or is None. The model must have been loaded from
    ``mapped``. With ``transfers``, layers compute on their GPU, to which the rest of the model must be moved;
    ``four_bit`` layers are quantized once, and then stream from main memory. ``chained``: each layer that has
    computed so far has returned a tensor. ``activations`` are those that need not be recomputed.
    """

    def __init__(
        self,
        model: Module,
        mapped: MappedWeights,
        transfers: Transfers | None = None,
        *,
        four_bit: bool = False,
    ) -> None:
        self.active, self.chained = False, True
        self.unsuited: str | None = None
        self.transfers, self.four_bit = transfers, four_bit
        self._mapped, self._dtype = mapped, torch.float32
        self.modules = [
            module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)
        ]
        self._layers = [self._weights_of(module) for module in self.modules]
        self._embeddings = model.get_input_embeddings()
        self._buffers: list[_Buffer] = []
        self._current = -1
        self._placed: list[torch.Tensor] = []
        self.activations = KeptActivations(self)
        if not self.bytes:
            self.unsuited = "its layers are not of a kind that can be recomputed"

    def _weights_of(self, module: Module) -> list[_Weight]:
        found = []
        linear = {id(part.weight) for part in module.modules() if isinstance(part, torch.nn.Linear)}
        for name, parameter in module.named_parameters():
            if parameter.dim() < 2:  # norms and biases
                continue
            if self.four_bit and id(parameter) not in linear:
                self.unsuited = f"{name} cannot be quantized"
            if source := self._mapped.source_of(parameter):
                found.append(_Weight(parameter, parameter.data, *source))
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

    @property
    def resident_bytes(self) -> int:
        """The most bytes of layers' weights that are where they compute, once `start` is called."""
        packed = (weight.packed for layer in self._layers for weight in layer)
        return self._memory.bytes + sum(each.scale_bytes for each in packed if each)

    @property
    def files(self) -> list[MappedFile]:
        """The files of the model's weights."""
        return self._mapped.files

    def names(self) -> dict[int, str]:
        """Return the name in the files of each streamed weight, by the id of its parameter."""
        names = {tensor.data_ptr(): name for name, tensor in self._mapped.tensors.items()}
        return {
            id(weight.parameter): names[weight.stored.data_ptr()]
            for layer in self._layers
            for weight in layer
        }

    def has_part(self, model: Module, suffix: str) -> bool:
        """Return whether a module of ``model`` whose name ends in ``suffix`` has streamed weights."""
        streamed = {id(weight.parameter) for layer in self._layers for weight in layer}
        return any(
            f".{name}".endswith(f".{suffix}")
            and not streamed.isdisjoint(id(weight) for weight in module.parameters())
            for name, module in model.named_modules()
        )

    @property
    def intact(self) -> bool:
        """Whether nobody has written to the files since they were mapped."""
        try:
            self._check()
        except WeightsLostError:
            return False
        return True

    def holds(self, tensor: torch.Tensor) -> bool:
        """Return whether ``tensor`` is a view of a streamed weight as it is now."""
        return self.reference(tensor) is not None

    def reference(self, tensor: torch.Tensor) -> _View | None:
        """Return where ``tensor`` is in its layer if it is a view of a streamed weight as it is now."""
        # All weights of a layer are in one memory.
        storage = tensor.untyped_storage().data_ptr()
        if not self._placed or self._placed[0].untyped_storage().data_ptr() != storage:
            return None
        place = tensor.shape, tensor.stride(), tensor.storage_offset()
        return _View(self, self._current, tensor.dtype, *place)

    def viewed(self, view: _View) -> torch.Tensor:
        """Return ``view`` in its layer, which is read if it is not in memory. Raises WeightsLostError."""
        self._enter(view.number)
        placed = next(weight for weight in self._placed if weight.dtype == view.dtype)
        return placed.as_strided(view.size, view.stride, view.offset)

    def keep_activations(self) -> None:
        """Recompute only those layers, with transformers' activation checkpointing, whose activations do not
        fit.
        """
        for module in self.modules:
            checkpoint = module._gradient_checkpointing_func  # noqa: SLF001
            module._gradient_checkpointing_func = partial(self._checkpointed, checkpoint)  # noqa: SLF001

    def _checkpointed(
        self, checkpoint: Callable[..., object], layer: Callable[..., object], *inputs: torch.Tensor
    ) -> object:
        if not inputs or not self.activations.fit(inputs[0]):
            return checkpoint(layer, *inputs)
        with self.activations.keep(inputs[0]):
            return layer(*inputs)

    def start(self, dtype: torch.dtype) -> None:
        """Stream the layers from now on, and compute with them in ``dtype``."""
        self._dtype, self.active = dtype, True
        if self.four_bit:
            self._quantize()
        converts = self.four_bit or any(
            weight.stored.dtype != dtype for layer in self._layers for weight in layer
        )
        sizes = [sum(_aligned(weight.nbytes) for weight in layer) for layer in self._layers]
        numbers = [sum(weight.stored.numel() for weight in layer) for layer in self._layers]
        self._memory = LayerMemory(
            dtype, max(sizes), max(numbers), converts=converts, transfers=self.transfers
        )
        self._buffers = [_Buffer(slot) for slot in self._memory.slots]
        self._stays_mapped = not (converts or self.transfers)
        device = self.transfers.device if self.transfers else None
        self._absent = torch.tensor(math.nan, dtype=dtype, device=device)
        self._embeddings.register_forward_pre_hook(lambda *_: self._check())
        for number, (module, layer) in enumerate(zip(self.modules, self._layers, strict=True)):
            # A recomputation calls the layer's parts, but not the layer with its hooks.
            for part in module.children():
                part.register_forward_pre_hook(lambda *_, number=number: self._enter(number))
            module.register_forward_hook(lambda _, __, output: self._note(output))
            for weight in layer:
                self._drop(weight)
        self.release()

    def _quantize(self) -> None:
        """Pack all layers' weights, one at a time."""
        assert self.transfers
        device = self.transfers.device
        for layer in self._layers:
            for at, weight in enumerate(layer):
                pages = torch.empty(weight.nbytes, dtype=torch.uint8)
                weight.read(memoryview(pages.numpy()))
                layer[at] = replace(weight, packed=PackedWeight.of(weight.values(pages), self._dtype, device))
        self._check()

    def release(self) -> None:
        """Drop all resident pages of the files; what is used is read again."""
        for file in self._mapped.files:
            file.pages.madvise(mmap.MADV_DONTNEED)

    def _check(self) -> None:
        """Raise WeightsLostError if a file was written to: a page that it no longer has must not be used."""
        if self.four_bit and self._buffers:
            return  # files are read only until all layers are quantized
        for file in self._mapped.files:
            file.check()

    def _note(self, output: object) -> None:
        self.chained = self.chained and isinstance(output, torch.Tensor)

    def _enter(self, number: int) -> None:
        """Make a layer resident that is about to compute, and read the next one ahead."""
        if number == self._current:
            return
        before, self._current = self._current, -1
        held = self._buffer_of(before)
        buffer = self._buffer_of(number) or self._load(number, beside=held)
        buffer.wait()
        self._check()  # what was read must be what was there when the run began
        if before >= 0:
            for weight in self._layers[before]:
                self._drop(weight)
        if held:
            self._memory.left(held.slot)
        layer = self._layers[number]
        self._placed = self._memory.placed(buffer.slot, buffer.weights(layer))
        for weight, values in zip(layer, self._placed, strict=True):
            weight.parameter.data = values
        self._current = number
        ahead = self._after(number, before)
        if ahead >= 0 and not self._buffer_of(ahead):
            self._load(ahead, beside=buffer)

    def _after(self, number: int, before: int) -> int:
        """Return the layer that computes after ``number``, if it came after ``before``."""
        last = len(self._layers) - 1
        if number == last and before < last:  # what comes next depends on whether there is a backward pass
            return last - 1 if torch.is_grad_enabled() else 0
        return max(0, number - 1) if number == before - 1 and number else min(number + 1, last)

    def _buffer_of(self, number: int) -> _Buffer | None:
        return next((buffer for buffer in self._buffers if buffer.number == number >= 0), None)

    def _load(self, number: int, beside: _Buffer | None) -> _Buffer:
        """Start to read a layer into a buffer other than ``beside``, if there is one."""
        buffer = next((buffer for buffer in self._buffers if buffer is not beside), self._buffers[0])
        buffer.load(number, self._layers[number])
        return buffer

    def _drop(self, weight: _Weight) -> None:
        # Autograd notices it if a weight that it saved is used later than its layer computes.
        torch.autograd.graph.increment_version(weight.parameter)
        if self._stays_mapped:
            weight.parameter.data = weight.stored
        else:
            # One NaN for all elements: a use outside of the layer would be noticed at once.
            weight.parameter.data = self._absent.expand(weight.stored.shape)
