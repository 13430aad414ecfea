"""Training methods, one module each.

Each module in this package is a method: ``method`` in arkor.toml selects it by name, and its ``METHOD`` is a
:class:`~.interface.Method`. Nothing else is needed: the loop, checkpoints, forecast, verdict, samples and
exports depend on the interface only.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from arkor_dev.contract.shapes import TrainingMethod

    from .interface import Method


def names() -> list[str]:
    """Return the methods' names, in alphabetical order."""
    return sorted(module.name for module in iter_modules(__path__) if module.name != "interface")


def listed() -> list[TrainingMethod]:
    """Return every method, for the contract's capabilities. Importing them takes a few milliseconds."""
    return [{"name": name, "label": method(name).label} for name in names()]


def method(name: str) -> Method:
    """Return the method of that name. Raises :class:`JobFailure` if it does not exist."""
    if name not in names():
        raise JobFailure(f"There is no training method {name!r} here. Available: {', '.join(names())}")
    loaded: Method = import_module(f"{__name__}.{name}").METHOD
    return loaded
