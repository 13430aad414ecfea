"""Training methods as Studio and the backend know them: one module each, with its ``RECORD``.

How a method learns is in the folder of the same name in ``arkor_dev.local.training.methods``. Its settings
are rows of ``arkor_dev.contract.settings``.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from arkor_dev.contract.settings import by_field

from .record import BASE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.contract.shapes import TrainingMethod
    from arkor_dev.data.forms import Form

    from .record import MethodRecord


def names() -> list[str]:
    """Return the methods' names, in alphabetical order."""
    return _names(tuple(__path__))


@cache
def _names(folders: tuple[str, ...]) -> list[str]:
    return sorted(module.name for module in iter_modules(folders) if module.name != "record")


def record_of(name: str) -> MethodRecord:
    """Return a method's record. Raises KeyError if it does not exist."""
    if name not in names():
        raise KeyError(name)
    return _record(name)


@cache
def _record(name: str) -> MethodRecord:
    loaded: MethodRecord = import_module(f"{__name__}.{name}").RECORD
    return loaded


def listed() -> list[TrainingMethod]:
    """Return every method, for the contract's capabilities."""
    methods: list[TrainingMethod] = []
    for name in names():
        known = record_of(name)
        method: TrainingMethod = {"name": name, "label": known.label}
        if known.preference:
            method["preference"] = known.preference
        methods.append(method)
    return methods


def forms_of(method: object) -> Mapping[str, Form]:
    """Return the forms of rows that a method accepts, or those of the default method if it is not known."""
    return record_of(method if method in names() else str(by_field()["method"].default)).forms


def form_names() -> list[str]:
    """Return the names of all methods' forms, those of the default method first."""
    forms = [forms_of(None), *(record_of(name).forms for name in names())]
    return list(dict.fromkeys(name for known in forms for name in known))


def second_model_of(config: Mapping[str, object]) -> str | None:
    """Return the name of the model that a job needs besides the one that learns; None if it needs none."""
    method = config.get("method")
    field = record_of(method).second_model if method in names() else ""
    name = config.get(field)
    return name if isinstance(name, str) and name != BASE else None


def hint_for(row: Mapping[str, object]) -> str:
    """Return the end of a sentence with the method that learns from such a row; empty if none is known."""
    hints = [hint for name in names() if (hint := record_of(name).hint)]
    return next((f". {hint.sentence}" for hint in hints if all(key in row for key in hint.keys)), "")
