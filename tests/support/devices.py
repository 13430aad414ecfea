"""Devices that this machine does not have, emulated on the processor: ``with cuda(...) as device:``.

Tensors stay in the processor's memory, but torch is told otherwise: those that were moved to the device, or
computed from those, report it as their ``device``. What a real device refuses is refused: tensors of two
devices in one operation, float64 on MPS, more memory than there is. What costs time on a real one is counted:
every wait of the processor for the device. Kernels, streams and speed are not emulated.

Only this thread sees the device. Imports torch: call :func:`cuda` and :func:`mps` from tests of the engine.
"""

from __future__ import annotations

import contextlib
import time
import weakref
from collections import Counter
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self
from unittest import mock

import safetensors.torch
import torch
from torch.nn.utils import clip_grad
from torch.overrides import TorchFunctionMode, _pop_mode_temporarily
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Iterator

aten = torch.ops.aten
MIXED = {aten.copy_.default, aten.index.Tensor, aten.index_put_.default, aten._index_put_impl_.default}
"""Operations that take tensors of two devices, as on CUDA: copies, and indices in the processor's memory."""
WAITS = {aten._local_scalar_dense.default, aten.nonzero.default, aten.masked_select.default}
"""Operations whose result the processor has to wait for."""
UUID = "12345678-1234-1234-1234-123456789abc"


@dataclass
class Device:
    """What happens on one emulated device. Sizes are in bytes, rounded up to 512 as CUDA's allocator does.

    ``waits`` counts, by operation, how often the processor waited for the device. With ``delay`` each
    operation takes so many seconds, which pass while the processor goes on, until it waits.
    """

    kind: str
    total: int = 2**34
    others: int = 0
    """What other processes hold."""
    refused: frozenset[Any] = frozenset()
    """Number formats that it does not have."""
    delay: float = 0.0
    allocated: int = 0
    peak: int = 0
    reserved: int = 0
    operations: int = 0
    waits: Counter[str] = field(default_factory=Counter)
    _owned: Any = field(default_factory=WeakIdKeyDictionary)
    _making: bool = False
    _leaving: bool = False
    _busy_until: float = 0.0

    # Tensors

    def owns(self, tensor: Any) -> bool:
        return tensor.device.type == "meta" or tensor.untyped_storage() in self._owned

    def take(self, tensor: Any) -> None:
        """Count ``tensor`` as one on the device; raises as the device would."""
        storage = tensor.untyped_storage()
        if storage in self._owned or tensor.device.type == "meta":
            return
        if tensor.dtype in self.refused:
            raise TypeError(
                f"Cannot convert a {self.kind.upper()} Tensor to {tensor.dtype} as the framework doesn't "
                "support it"
            )
        size = -(-storage.nbytes() // 512) * 512
        if self.others + self.allocated + size > self.total:
            left = self.total - self.others - self.allocated
            raise torch.OutOfMemoryError(
                f"{self.kind.upper()} out of memory. Tried to allocate {size / 2**20:.2f} MiB. GPU 0 has a "
                f"total capacity of {self.total / 2**20:.2f} MiB of which {left / 2**20:.2f} MiB is free."
            )
        self._owned[storage] = True
        weakref.finalize(storage, self._free, size)
        self.allocated += size
        self.peak = max(self.peak, self.allocated)
        self.reserved = max(self.reserved, self.allocated)

    def _free(self, size: int) -> None:
        self.allocated -= size

    def wait(self, why: str) -> None:
        """Let the processor wait for the device."""
        self.waits[why] += 1
        if (left := self._busy_until - time.perf_counter()) > 0:
            time.sleep(left)

    def device_of(self, tensor: Any) -> Any:
        real = _REAL_DEVICE(tensor)
        return torch.device(self.kind, 0) if real.type == "cpu" and self.owns(tensor) else real

    @contextlib.contextmanager
    def while_(self, *, making: bool | None = None, leaving: bool | None = None) -> Iterator[None]:
        before = self._making, self._leaving
        self._making = before[0] if making is None else making
        self._leaving = before[1] if leaving is None else leaving
        try:
            yield
        finally:
            self._making, self._leaving = before

    # What torch.cuda says of it

    def mem_get_info(self, *_: Any) -> tuple[int, int]:
        return self.total - self.others - self.reserved, self.total

    def hold_to(self, part: float, *_: Any) -> None:
        self.others = round((1 - part) * self.total)

    def empty_cache(self) -> None:
        self.reserved = self.allocated

    def reset_peak(self, *_: Any) -> None:
        self.peak = self.allocated


_REAL_DEVICE = torch.Tensor.device.__get__


def _tensors(*values: Any) -> list[Any]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]


class _Operations(TorchDispatchMode):  # type: ignore[misc]
    """Sees every operation, also those of a backward pass."""

    def __init__(self, device: Device) -> None:
        super().__init__()
        self._device = device

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        device, kwargs = self._device, kwargs or {}
        given = _tensors(args, kwargs)
        on = [tensor for tensor in given if device.owns(tensor) and tensor.device.type != "meta"]
        if on and not device._leaving:
            away = [tensor for tensor in given if tensor.dim() and not device.owns(tensor)]
            if away and func not in MIXED:
                raise RuntimeError(
                    f"Expected all tensors to be on the same device, but found at least two devices, "
                    f"{device.kind}:0 and cpu! ({func}, {[tuple(each.shape) for each in away]})"
                )
            by_mask = func in MIXED and any(t.dtype == torch.bool for t in given[1:])
            if func in WAITS or by_mask:
                device.wait(str(func))
            device.operations += 1
            now = time.perf_counter()
            device._busy_until = max(now, device._busy_until) + device.delay
        result = func(*args, **kwargs)
        if (on or device._making) and not device._leaving:
            held = {tensor.untyped_storage()._cdata for tensor in given}
            for tensor in _tensors(result):
                if tensor.untyped_storage()._cdata not in held:
                    device.take(tensor)
        return result


class _Calls(TorchFunctionMode):  # type: ignore[misc]
    """Sees every call of torch's: where tensors are made, moved, and asked for their device."""

    def __init__(self, device: Device) -> None:
        super().__init__()
        self._device = device

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        device, kwargs, tensor = self._device, dict(kwargs or {}), torch.Tensor
        if func == tensor.device.__get__:
            return device.device_of(args[0])
        if func in (tensor.is_cuda.__get__, tensor.is_mps.__get__):
            kind = "cuda" if func == tensor.is_cuda.__get__ else "mps"
            return device.kind == kind and device.owns(args[0])
        if func in (tensor.to, tensor.cpu, tensor.cuda):
            return self._move(func, args, kwargs)
        if func is tensor.backward:
            with device.while_(making=True), self:
                kwargs["grad_tensors"] = kwargs.pop("gradient", None)
                return torch.autograd.backward(args[0], *args[1:], **kwargs)
        if func in (tensor.tolist, tensor.numpy, tensor.__array__) and device.owns(args[0]):
            if func is not tensor.tolist:
                raise TypeError(f"can't convert {device.kind}:0 device type tensor to numpy")
            device.wait("tolist")
        wanted = kwargs.get("device")
        if wanted is not None and torch.device(wanted).type == device.kind:
            kwargs["device"] = "cpu"
            with device.while_(making=True):
                made = func(*args, **kwargs)
            for each in _tensors(made):  # torch.tensor is no operation
                device.take(each)
            return made
        making = wanted is None and any(map(device.owns, _tensors(args, kwargs)))
        with device.while_(making=making or device._making):
            return func(*args, **kwargs)

    def _move(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        device, (moved, *given) = self._device, args
        target = kwargs.pop("device", None)
        for each in given:
            if isinstance(each, torch.device | str):
                target = each
            elif isinstance(each, torch.Tensor):
                target, kwargs["dtype"] = device.device_of(each), each.dtype
            elif isinstance(each, torch.dtype):
                kwargs["dtype"] = each
        if func is not torch.Tensor.to:
            target, kwargs = ("cpu" if func is torch.Tensor.cpu else device.kind), {}
        here = device.owns(moved)
        there = here if target is None else torch.device(target).type == device.kind
        if target is not None and torch.device(target).type == "meta":
            return moved.to("meta", **kwargs)
        if here == there:
            with device.while_(making=here):
                return moved.to(**kwargs) if kwargs else moved
        if here:
            device.wait(func.__name__)
        kwargs["copy"] = True
        with device.while_(making=there, leaving=here):
            return moved.to("cpu", **kwargs)


class _Event:
    """An event of CUDA's: when the device has come so far."""

    device: Device

    def __init__(self, **_: Any) -> None:
        self.at = 0.0

    def record(self, *_: Any) -> None:
        self.at = max(time.perf_counter(), self.device._busy_until)

    def synchronize(self) -> None:
        self.device.wait("Event.synchronize")

    def elapsed_time(self, other: Self) -> float:
        return 1000 * (other.at - self.at)


@contextlib.contextmanager
def emulated(device: Device, patches: dict[str, Any]) -> Iterator[Device]:
    """Let torch have ``device`` in this thread for the body; ``patches`` are functions by their names."""
    from transformers import PreTrainedModel

    kind, loading = device.kind, PreTrainedModel.from_pretrained.__func__

    def here(name: Any) -> Any:
        return "cpu" if str(name).partition(":")[0] == kind else name

    def mapped(original: Any) -> Any:
        return lambda device_type, *args, **kwargs: original(here(device_type), *args, **kwargs)

    def scaler(name: str = "cuda", **kwargs: Any) -> Any:
        return real_scaler(here(name), **kwargs)

    def from_pretrained(cls: Any, /, *args: Any, device_map: Any = None, **kwargs: Any) -> Any:
        # Weights are read by threads of their own, which do not see the device.
        stored_so = hasattr(kwargs.get("config"), "quantization_config")
        four_bit = stored_so or kwargs.get("quantization_config") is not None
        with _without_modes():
            model = loading(cls, *args, **kwargs, **({"device_map": {"": "cpu"}} if four_bit else {}))
        if device_map is None or here(device_map[""]) == device_map[""]:
            return model
        if not four_bit:
            return model.to(device_map[""])
        for tensor in held_by(model):
            device.take(tensor)
        return model

    def load_file(path: Any, device: Any = "cpu") -> Any:
        found = real_load_file(path)
        return found if here(device) == device else {name: each.to(device) for name, each in found.items()}

    def grouped(tensors: Any, *args: Any) -> Any:
        # What is done in C++ sees where the tensors really are.
        found = real_grouping(tensors, *args)
        own = {each: torch.device(kind, 0) if each and each.type == "cpu" else each for each, _ in found}
        return {(own[where], dtype): group for (where, dtype), group in found.items()}

    real_load_file = safetensors.torch.load_file
    real_scaler, real_grouping = torch.amp.GradScaler, clip_grad._group_tensors_by_device_and_dtype
    with contextlib.ExitStack() as stack:
        for name, value in {
            # A build for GPUs would look for the driver at each step of an optimizer.
            "torch.accelerator.current_accelerator": lambda check_available=False: None,
            "torch.autocast": mapped(torch.autocast),
            "torch.is_autocast_enabled": lambda name="cpu": _is_autocast_enabled(here(name)),
            "torch.get_autocast_dtype": mapped(torch.get_autocast_dtype),
            "torch.amp.GradScaler": scaler,
            "peft.utils.save_and_load.safe_load_file": load_file,
            "torch.nn.utils.clip_grad._group_tensors_by_device_and_dtype": grouped,
            "torch.optim.optimizer._group_tensors_by_device_and_dtype": grouped,
            **patches,
        }.items():
            stack.enter_context(mock.patch(name, value))
        stack.enter_context(
            mock.patch.object(PreTrainedModel, "from_pretrained", classmethod(from_pretrained))
        )
        stack.enter_context(_Operations(device))
        stack.enter_context(_Calls(device))
        yield device


_is_autocast_enabled = torch.is_autocast_enabled


@contextlib.contextmanager
def _without_modes() -> Iterator[None]:
    from torch.utils._python_dispatch import _disable_current_modes

    with _disable_current_modes(), _pop_mode_temporarily():
        yield


def held_by(model: Any) -> Iterator[Any]:
    """All tensors of ``model``, with the scales of 4-bit weights."""
    for tensor in (*model.parameters(), *model.buffers()):
        yield tensor
        state = getattr(tensor, "quant_state", None)
        while state is not None:
            yield from (each for each in vars(state).values() if isinstance(each, torch.Tensor))
            state = getattr(state, "state2", None)


def cuda(**facts: Any) -> contextlib.AbstractContextManager[Device]:
    """Emulate an NVIDIA GPU; ``facts`` are fields of :class:`Device`, and ``capability``."""
    capability = facts.pop("capability", (8, 6))
    device = Device("cuda", **facts)
    properties = SimpleNamespace(
        name="Emulated GPU", major=capability[0], minor=capability[1], total_memory=device.total, uuid=UUID
    )
    event = type("Event", (_Event,), {"device": device})
    states: Any = {}
    functions = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "get_device_name": lambda *_: properties.name,
        "get_device_properties": lambda *_: properties,
        "get_device_capability": lambda *_: capability,
        "is_bf16_supported": lambda including_emulation=True: including_emulation or capability[0] >= 8,
        "mem_get_info": device.mem_get_info,
        "memory_allocated": lambda *_: device.allocated,
        "max_memory_allocated": lambda *_: device.peak,
        "memory_reserved": lambda *_: device.reserved,
        "max_memory_reserved": lambda *_: device.reserved,
        "reset_peak_memory_stats": device.reset_peak,
        "empty_cache": device.empty_cache,
        "set_per_process_memory_fraction": device.hold_to,
        "synchronize": lambda *_: device.wait("synchronize"),
        "get_rng_state_all": lambda: [states.get("cuda", torch.zeros(1, dtype=torch.uint8))],
        "set_rng_state_all": lambda given: states.update(cuda=given[0]),
        "Event": event,
    }
    return emulated(device, {f"torch.cuda.{name}": value for name, value in functions.items()})


def mps(*, bfloat16: bool = True, **facts: Any) -> contextlib.AbstractContextManager[Device]:
    """Emulate a Mac's GPU; ``bfloat16`` is false for one before macOS 14."""
    refused = frozenset({torch.float64, *(() if bfloat16 else (torch.bfloat16,))})
    device = Device("mps", refused=refused, **facts)
    functions: dict[str, Any] = {
        "torch.backends.mps.is_available": lambda: True,
        "torch.mps.synchronize": lambda: device.wait("synchronize"),
        "torch.mps.empty_cache": device.empty_cache,
        "torch.mps.current_allocated_memory": lambda: device.allocated,
        "torch.mps.driver_allocated_memory": lambda: device.reserved,
        "torch.mps.recommended_max_memory": lambda: device.total,
        "torch.mps.get_rng_state": lambda *_: torch.zeros(1, dtype=torch.uint8),
        "torch.mps.set_rng_state": lambda *_: None,
    }
    return emulated(device, functions)
