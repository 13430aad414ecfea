"""torch without its compiler, for a process that compiles nothing.

An optimizer imports the compiler at its first step, only to tell it to keep out, and transformers does so for
a kind of mask that no usual model has: that takes a second or two of a processor's time in every worker. Here
a stand-in takes its place and does what is asked of it where nothing is compiled, which is nothing. Whatever
else is asked loads the real one, as if it had been there from the start.
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
"""The part of it of which transformers' masks want one class."""
MASK: Final = "TransformGetItemToIndex"
SHARDED: Final = "torch.distributed.tensor"
"""Tensors that lie on several machines: nothing here has them, and their package brings sympy along."""
_TOLD: Final[list[tuple[str, Any]]] = []
"""Functions of which the real compiler is told when it comes, and what it is told of each."""


def install() -> None:
    """Import torch, and leave out the compiler until it is asked for.

    Does nothing where the compiler is there already, or torch is not.
    """
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
    """Look for no garbage in the body, which imports torch: modules are none, and a sixth of the time goes.

    What is there afterwards is never looked at again. Does nothing where torch has been imported before.
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


def put_off() -> bool:
    """Whether the compiler is left out."""
    return isinstance(sys.modules.get(COMPILER), _Compiler)


def _real(name: str) -> ModuleType:
    """The real compiler's module of that name; it is there from here on, in the stand-ins' place."""
    if put_off():
        sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, _Finder)]
        for stand_in in (COMPILER, MASKS):
            del sys.modules[stand_in]
        for what, function in _TOLD:
            getattr(importlib.import_module(COMPILER), what)(function)
    return importlib.import_module(name)


def _part_of_distributed(name: str) -> ModuleType:
    """The package of sharded tensors, which whoever names it takes for imported."""
    if f"torch.distributed.{name}" != SHARDED:
        raise AttributeError(f"module 'torch.distributed' has no attribute {name!r}")
    return importlib.import_module(SHARDED)


class _StandIn(ModuleType):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None, is_package=True)
        self.__path__: list[str] = []  # where its parts lie is known to the finder

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(_real(self.__name__), name)


class _Compiler(_StandIn):
    """The compiler, as code speaks to it that may be compiled and is not."""

    def graph_break(self, *_: Any, **__: Any) -> None:
        """Tells where compiled code must not go on."""

    def disable(self, function: Any = None, recursive: bool = True, **how: Any) -> Any:
        """``function``, which is never compiled; without one, what makes such a function."""
        if function is None:
            return functools.partial(self.disable, recursive=recursive, **how)
        if not inspect.isroutine(function):
            return _real(COMPILER).disable(function, recursive, **how)
        kept: list[Any] = []

        @functools.wraps(function)
        def uncompiled(*given: Any, **named: Any) -> Any:
            if put_off():
                return function(*given, **named)
            if not kept:
                kept.append(_real(COMPILER).disable(function, recursive, **how))
            return kept[0](*given, **named)

        return uncompiled

    def allow_in_graph(self, function: Any) -> Any:
        """``function``, of which the real one is told once it is there."""
        _TOLD.append(("allow_in_graph", function))
        return function

    def assume_constant_result(self, function: Any) -> Any:
        """As ``allow_in_graph``."""
        _TOLD.append(("assume_constant_result", function))
        return function


class _Masks(_StandIn):
    """Has the one class that is wanted of it; the real one takes its place where it is used."""

    def __init__(self, name: str) -> None:
        super().__init__(name)

        def used(_: Any, *given: Any) -> Any:
            return getattr(_real(MASKS), MASK)(*given)

        vars(self)[MASK] = type(MASK, (), {"__new__": used})


class _Finder(MetaPathFinder):
    """Finds the parts of the real compiler: who asks for one of them gets all."""

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
    """Gives a module that is there already."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        del spec
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec
