"""Imports torch without its compiler, for a process that compiles nothing.

An optimizer imports the compiler at its first step, only to disable it, and transformers does so for a kind
of mask that no common model has. That takes a second or two of processor time in every worker. A stand-in
replaces it here and does nothing, like the compiler itself when nothing is compiled. Any other use loads the
real compiler, as if it had been imported from the start.

Together with `lean_transformers`, a worker needs half the processor time until its first step (1.9 s instead
of 3.9 s, median of six alternated starts on one thread) and 74 MB less. Forking workers from one process that
has loaded the libraries would save more, but does not work on Windows or macOS, or with CUDA.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import importlib.util
import inspect
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COMPILER: Final = "torch._dynamo"
MASKS: Final = f"{COMPILER}._trace_wrapped_higher_order_op"
"""The compiler module with the one class that transformers' masks need."""
MASK: Final = "TransformGetItemToIndex"
SHARDED: Final = "torch.distributed.tensor"
"""torch's package for tensors spread over several machines: it is not used here, and it imports sympy."""
_DEFERRED_CALLS: Final[list[tuple[str, Any]]] = []
"""Calls to repeat on the real compiler when it is loaded."""


def install() -> None:
    """Import torch, but the compiler only once it is used, unless either is already imported."""
    blocked = "torch" in sys.modules and sys.modules["torch"] is None
    if blocked or COMPILER in sys.modules or importlib.util.find_spec("torch") is None:
        return
    sys.modules[COMPILER], sys.modules[MASKS] = _Compiler(COMPILER), _Masks(MASKS)
    sys.meta_path.insert(0, _Finder())
    import torch

    distributed = torch.distributed
    if not hasattr(distributed, "tensor") and "__getattr__" not in vars(distributed):
        distributed.__getattr__ = _part_of_distributed


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Pause garbage collection while the block imports torch: modules are never garbage, and pausing saves a
    sixth of the time.

    Objects that exist afterwards are never scanned again. Does nothing if torch was imported before.
    """
    if "torch" in sys.modules:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def is_deferred() -> bool:
    """Return whether importing the compiler is deferred."""
    return isinstance(sys.modules.get(COMPILER), _Compiler)


def _real(name: str) -> ModuleType:
    """Return the real compiler's module of that name; it replaces the stand-in from now on."""
    if is_deferred():
        sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
        for stand_in in (COMPILER, MASKS):
            del sys.modules[stand_in]
        for method, function in _DEFERRED_CALLS:
            getattr(importlib.import_module(COMPILER), method)(function)
    return importlib.import_module(name)


def _part_of_distributed(name: str) -> ModuleType:
    """Return the package of sharded tensors, for code that assumes it is imported."""
    if f"torch.distributed.{name}" != SHARDED:
        raise AttributeError(f"module 'torch.distributed' has no attribute {name!r}")
    return importlib.import_module(SHARDED)


class _StandIn(ModuleType):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None, is_package=True)
        self.__path__: list[str] = []  # the finder locates its modules

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_real(self.__name__), name)


class _Compiler(_StandIn):
    """The stand-in: the compiler's interface, for code that is not compiled."""

    def graph_break(self, *_: Any, **__: Any) -> None:
        """Marks where compiled code must not continue."""

    def disable(self, function: Any = None, recursive: bool = True, **options: Any) -> Any:
        """Return ``function``, which is never compiled; without an argument, return a decorator."""
        if function is None:
            return functools.partial(self.disable, recursive=recursive, **options)
        if not inspect.isroutine(function):
            return _real(COMPILER).disable(function, recursive, **options)
        compiled: list[Any] = []

        @functools.wraps(function)
        def uncompiled(*args: Any, **kwargs: Any) -> Any:
            if is_deferred():
                return function(*args, **kwargs)
            if not compiled:
                compiled.append(_real(COMPILER).disable(function, recursive, **options))
            return compiled[0](*args, **kwargs)

        return uncompiled

    def allow_in_graph(self, function: Any) -> Any:
        """Return ``function``; the call is repeated on the real compiler once that is loaded."""
        _DEFERRED_CALLS.append(("allow_in_graph", function))
        return function

    def assume_constant_result(self, function: Any) -> Any:
        """See ``allow_in_graph``."""
        _DEFERRED_CALLS.append(("assume_constant_result", function))
        return function


class _Masks(_StandIn):
    """A module with the only class that is needed; the real module replaces it when used."""

    def __init__(self, name: str) -> None:
        super().__init__(name)

        def used(_: Any, *args: Any) -> Any:
            return getattr(_real(MASKS), MASK)(*args)

        vars(self)[MASK] = type(MASK, (), {"__new__": used})


class _Finder(MetaPathFinder):
    """Finds the real compiler's modules: importing one of them loads the whole compiler."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path
        if not name.startswith(f"{COMPILER}."):
            return None
        real = _real(COMPILER)
        if name in sys.modules:
            return ModuleSpec(name, _Loaded(sys.modules[name]))
        return PathFinder.find_spec(name, list(real.__path__), target)


class _Loaded(Loader):
    """A loader for a module that is already loaded."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        del spec
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec
