"""Training methods, one folder each, which tells its algorithm from rows to loss.

``method`` in arkor.toml selects a folder by name, and its ``METHOD`` is a :class:`~.interface.Method`. Its
label and its rows are in its record (``arkor_dev.data.methods``), which Studio reads, too. Nothing else is
needed: the loop, checkpoints, forecast, verdict, samples and exports depend on the interface only.
``preference_rows``, ``pair_objective``, ``preference_objective`` and ``reference`` are shared by the methods
that learn from preferences.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from arkor_dev.data.methods import names
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from .interface import Method


def method(name: str) -> Method:
    """Return the method of that name. Raises :class:`JobFailure` if it does not exist."""
    if name not in names():
        raise JobFailure(f"There is no training method {name!r} here. Available: {', '.join(names())}")
    loaded: Method = import_module(f"{__name__}.{name}").METHOD
    return loaded
