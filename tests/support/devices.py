"""Devices that this machine does not have, emulated on the processor: ``with cuda(...) as device:``.

Tensors stay in the processor's memory, but torch is told otherwise: those that were moved to the device, or
computed from those, report it as their ``device``. What a real device refuses is refused: tensors of two
devices in one operation, float64 on MPS, more memory than there is. What costs time on a real one is counted:
every wait of the processor for the device. Kernels and speed are not emulated; streams are there, but work in
all of them is done at once.

Only this thread sees the devices. Imports torch: call :func:`cuda`, :func:`two_cards` and :func:`mps` from
tests of the engine.
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
    index: int = 0
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
    _owned: set[int] = field(default_factory=set)
    """The addresses of storages, each for as long as there is such a one."""
    _recorded: set[int] = field(default_factory=set)
    """Storages of ``_owned`` that are not reused before a stream beside the computation is done."""
    _making: bool = False
    _leaving: bool = False
    _busy_until: float = 0.0

    # Tensors

    def owns(self, tensor: Any) -> bool:
        return tensor.device.type == "meta" or tensor.untyped_storage()._cdata in self._owned

    def take(self, tensor: Any) -> None:
        """Count ``tensor`` as one on the device; raises as the device would."""
        storage = tensor.untyped_storage()
        address = storage._cdata
        if address in self._owned or tensor.device.type == "meta":
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
        self._owned.add(address)
        weakref.finalize(storage, self._free, address, size)
        self.allocated += size
        self.peak = max(self.peak, self.allocated)
        self.reserved = max(self.reserved, self.allocated)

    def _free(self, address: int, size: int) -> None:
        self._owned.discard(address)
        self._recorded.discard(address)
        self.allocated -= size

    def record_stream(self, tensor: Any) -> None:
        self._recorded.add(tensor.untyped_storage()._cdata)

    def awaits_stream(self, tensor: Any) -> bool:
        """Return whether the tensor's memory, once freed, is kept until another stream is done with it."""
        return tensor.untyped_storage()._cdata in self._recorded

    def wait(self, why: str) -> None:
        """Let the processor wait for the device."""
        self.waits[why] += 1
        if (left := self._busy_until - time.perf_counter()) > 0:
            time.sleep(left)

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
_IS_CUDA, _IS_MPS = torch.Tensor.is_cuda.__get__, torch.Tensor.is_mps.__get__


def _tensors(*values: Any) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, tuple | list):
            found += _tensors(*value)
        elif isinstance(value, dict):
            found += _tensors(*value.values())
    return found


class _World:
    """The devices of one kind, and which tensors are where."""

    def __init__(self, devices: list[Device]) -> None:
        self.devices = devices
        self.kind = devices[0].kind

    def owner(self, tensor: Any) -> Device | None:
        """The device that ``tensor`` is on; None for the processor and for one without numbers."""
        if _REAL_DEVICE(tensor).type == "meta":
            return None
        address = tensor.untyped_storage()._cdata
        for device in self.devices:
            if address in device._owned:
                return device
        return None

    def device_of(self, tensor: Any) -> Any:
        real, owner = _REAL_DEVICE(tensor), self.owner(tensor)
        return torch.device(self.kind, owner.index) if owner and real.type == "cpu" else real

    def named(self, name: Any) -> Device | None:
        """The device called ``name``: ``cuda`` is the first; None for one that is not emulated."""
        if isinstance(name, int):
            return self.devices[name]
        device = torch.device(name)
        return self.devices[device.index or 0] if device.type == self.kind else None

    @property
    def making(self) -> Device | None:
        for device in self.devices:
            if device._making:
                return device
        return None

    @property
    def leaving(self) -> bool:
        return any(device._leaving for device in self.devices)


class _Operations(TorchDispatchMode):  # type: ignore[misc]
    """Sees every operation, also those of a backward pass."""

    def __init__(self, world: _World) -> None:
        super().__init__()
        self._world = world

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        world, kwargs = self._world, kwargs or {}
        given = _tensors(args, kwargs)
        on = [each for each in given if world.owner(each)]
        # A number that is on another device may be read; of those with sides the first one decides.
        device = world.owner(next((each for each in on if each.dim()), on[0])) if on else None
        if device and not world.leaving:
            away = [
                each
                for each in given
                if each.dim() and each.device.type != "meta" and world.owner(each) is not device
            ]
            if away and func not in MIXED:
                there = sorted({str(world.device_of(each)) for each in away})
                raise RuntimeError(
                    f"Expected all tensors to be on the same device, but found at least two devices, "
                    f"{device.kind}:{device.index} and {there[0]}! ({func}, "
                    f"{[tuple(each.shape) for each in away]})"
                )
            by_mask = func in MIXED and any(t.dtype == torch.bool for t in given[1:])
            if func in WAITS or by_mask:
                device.wait(str(func))
            device.operations += 1
            now = time.perf_counter()
            device._busy_until = max(now, device._busy_until) + device.delay
        result = func(*args, **kwargs)
        taking = world.making if world.leaving else device or world.making
        if taking:
            held = {tensor.untyped_storage()._cdata for tensor in given}
            for tensor in _tensors(result):
                if tensor.untyped_storage()._cdata not in held:
                    taking.take(tensor)
        return result


class _Calls(TorchFunctionMode):  # type: ignore[misc]
    """Sees every call of torch's: where tensors are made, moved, and asked for their device."""

    def __init__(self, world: _World) -> None:
        super().__init__()
        self._world = world

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        world, kwargs, tensor = self._world, dict(kwargs or {}), torch.Tensor
        if func == _REAL_DEVICE:
            return world.device_of(args[0])
        if func in (_IS_CUDA, _IS_MPS):
            kind = "cuda" if func == _IS_CUDA else "mps"
            return world.kind == kind and any(device.owns(args[0]) for device in world.devices)
        if func in (tensor.to, tensor.cpu, tensor.cuda):
            return self._move(func, args, kwargs)
        if func is tensor.backward:
            with (world.owner(args[0]) or world.devices[0]).while_(making=True), self:
                kwargs["grad_tensors"] = kwargs.pop("gradient", None)
                return torch.autograd.backward(args[0], *args[1:], **kwargs)
        if func in (tensor.tolist, tensor.numpy, tensor.__array__) and (owner := world.owner(args[0])):
            if func is not tensor.tolist:
                raise TypeError(f"can't convert {owner.kind}:0 device type tensor to numpy")
            owner.wait("tolist")
        kwargs.pop("pin_memory", None)  # torch without CUDA refuses it
        wanted = kwargs.get("device")
        if wanted is not None and (there := world.named(wanted)):
            kwargs["device"] = "cpu"
            with there.while_(making=True):
                made = func(*args, **kwargs)
            for each in _tensors(made):  # torch.tensor is no operation
                there.take(each)
            return made
        owners = (world.owner(each) for each in _tensors(args, kwargs)) if wanted is None else iter(())
        if (owner := next(filter(None, owners), None)) is None or world.making:
            return func(*args, **kwargs)
        with owner.while_(making=True):
            return func(*args, **kwargs)

    def _move(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        world, (moved, *given) = self._world, args
        target = kwargs.pop("device", None)
        for each in given:
            if isinstance(each, torch.device | str | int) and not isinstance(each, bool):
                target = each
            elif isinstance(each, torch.Tensor):
                target, kwargs["dtype"] = world.device_of(each), each.dtype
            elif isinstance(each, torch.dtype):
                kwargs["dtype"] = each
        if func is not torch.Tensor.to:
            target, kwargs = ("cpu" if func is torch.Tensor.cpu else target or world.kind), {}
        if target is not None and not isinstance(target, int) and torch.device(target).type == "meta":
            return moved.to("meta", **kwargs)
        here = world.owner(moved)
        there = here if target is None else world.named(target)
        if here is there or (moved.device.type == "meta"):
            with here.while_(making=True) if here else contextlib.nullcontext():
                return moved.to(**kwargs) if kwargs else moved
        if here and not there:
            here.wait(func.__name__)
        return _Moved.apply(moved, here, there, kwargs)


class _Moved(torch.autograd.Function):  # type: ignore[misc]
    """A copy on another device, whose gradient goes back to where its original is."""

    @staticmethod
    def forward(ctx: Any, moved: Any, here: Device | None, there: Device | None, kwargs: Any) -> Any:
        ctx.here, ctx.there, ctx.dtype = here, there, moved.dtype
        return _copied(moved, here, there, {**kwargs})

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return _copied(grad, ctx.there, ctx.here, {"dtype": ctx.dtype}), None, None, None


def _copied(tensor: Any, here: Device | None, there: Device | None, kwargs: dict[str, Any]) -> Any:
    with contextlib.ExitStack() as stack:
        if here:
            stack.enter_context(here.while_(making=False, leaving=True))
        if there:
            stack.enter_context(there.while_(making=True, leaving=False if here is None else None))
        return tensor.to("cpu", **{**kwargs, "copy": True})


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


class _Stream:
    """A stream of CUDA's, whose work is done when it is queued."""

    event: type[_Event]

    def __init__(self, *_: Any) -> None:
        pass

    def wait_event(self, event: _Event) -> None:
        assert isinstance(event, self.event)

    def record_event(self) -> _Event:
        event = self.event()
        event.record()
        return event


@contextlib.contextmanager
def emulated(devices: list[Device], patches: dict[str, Any]) -> Iterator[Device]:
    """Let torch have ``devices`` in this thread for the body; ``patches`` are functions by their names."""
    from transformers import PreTrainedModel

    device, world = devices[0], _World(devices)
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
        if device_map and "" not in device_map:
            for name, card in device_map.items():
                model.get_submodule(name).to(f"{kind}:{card}")
            return model
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
        found = {}
        for (where, dtype), (lists, places) in real_grouping(tensors, *args).items():
            owners = [None if each is None else world.device_of(each) for each in lists[0]]
            for own in dict.fromkeys(owners):
                some = [place for place, each in enumerate(owners) if each == own]
                parts = [[each[place] for place in some] if each else each for each in lists]
                found[own or where, dtype] = parts, [places[place] for place in some] if places else places
        return found

    def hooks(pack: Any, unpack: Any) -> Any:
        # They are called from C++, inside of calls for which the mode is switched off.
        def seeing(hook: Any) -> Any:
            def seen(value: Any) -> Any:
                with _Calls(world), torch.no_grad():
                    return hook(value)

            return seen

        return real_hooks(seeing(pack), seeing(unpack))

    real_hooks = torch.autograd.graph.saved_tensors_hooks
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
            "torch.autograd.graph.saved_tensors_hooks": hooks,
            "torch.nn.utils.clip_grad._group_tensors_by_device_and_dtype": grouped,
            "torch.optim.optimizer._group_tensors_by_device_and_dtype": grouped,
            **patches,
        }.items():
            stack.enter_context(mock.patch(name, value))
        stack.enter_context(
            mock.patch.object(PreTrainedModel, "from_pretrained", classmethod(from_pretrained))
        )
        stack.enter_context(_Operations(world))
        stack.enter_context(_Calls(world))
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
    return _cuda([Device("cuda", **facts)], capability)


@contextlib.contextmanager
def two_cards(*totals: int) -> Iterator[list[Device]]:
    """Emulate NVIDIA GPUs with so many bytes each."""
    devices = [Device("cuda", total=total, index=index) for index, total in enumerate(totals)]
    with _cuda(devices, (8, 6)):
        yield devices


def _cuda(devices: list[Device], capability: tuple[int, int]) -> contextlib.AbstractContextManager[Device]:
    def each(name: str) -> Any:
        """A function of a device, whose number is 0 where none is given."""

        def ask(which: Any = 0) -> Any:
            found = getattr(devices[getattr(which, "index", which) or 0], name)
            return found() if callable(found) else found

        return ask

    def properties(which: Any = 0) -> Any:
        device = devices[getattr(which, "index", which) or 0]
        return SimpleNamespace(
            name="Emulated GPU",
            major=capability[0],
            minor=capability[1],
            total_memory=device.total,
            uuid=f"{UUID[:-1]}{device.index}" if device.index else UUID,
        )

    def empty_cache() -> None:
        for device in devices:
            device.empty_cache()

    def hold_to(part: float, which: Any = 0) -> None:
        devices[which or 0].hold_to(part)

    def record_stream(tensor: Any, _: Any) -> None:
        next(device for device in devices if device.owns(tensor)).record_stream(tensor)

    event = type("Event", (_Event,), {"device": devices[0]})
    stream = type("Stream", (_Stream,), {"event": event})
    states: Any = {}
    functions = {
        "is_available": lambda: True,
        "device_count": lambda: len(devices),
        "current_device": lambda: 0,
        "get_device_name": lambda which=0: properties(which).name,
        "get_device_properties": properties,
        "get_device_capability": lambda *_: capability,
        "is_bf16_supported": lambda including_emulation=True: including_emulation or capability[0] >= 8,
        "mem_get_info": each("mem_get_info"),
        "memory_allocated": each("allocated"),
        "max_memory_allocated": each("peak"),
        "memory_reserved": each("reserved"),
        "max_memory_reserved": each("reserved"),
        "reset_peak_memory_stats": each("reset_peak"),
        "empty_cache": empty_cache,
        "set_per_process_memory_fraction": hold_to,
        "synchronize": lambda which=0: devices[which or 0].wait("synchronize"),
        "get_rng_state_all": lambda: states.get("cuda", [torch.zeros(1, dtype=torch.uint8)] * len(devices)),
        "set_rng_state_all": lambda given: states.update(cuda=given),
        "Event": event,
        "Stream": stream,
        "stream": contextlib.nullcontext,
        "current_stream": stream,
    }
    patches = {f"torch.cuda.{name}": value for name, value in functions.items()}
    return emulated(devices, {**patches, "torch.Tensor.record_stream": record_stream})


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
    return emulated([device], functions)
