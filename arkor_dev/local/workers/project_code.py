"""Loads what a file of the project defines, ``module:name``: for processes that run the project's code.

`parameters_of` only reads it.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from typing import TYPE_CHECKING, Final

from arkor_dev.data.sources import SourceError, resolved

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MODULE: Final = "arkor_project_code"


class ProjectCodeError(Exception):
    """Why the project's code cannot be used, for the user."""


def defined_in(project: Path, reference: str, kind: str) -> Callable[..., object]:
    """Return the function or class ``module:name``, which a file of ``project`` must define.

    Raises ProjectCodeError, whose text begins with the file or says that it defines no ``kind`` of that name;
    and whatever the file raises.
    """
    path, name = _parts(reference)
    try:
        file = resolved(project, path)
    except SourceError as fault:
        raise ProjectCodeError(str(fault)) from None
    spec = importlib.util.spec_from_file_location(MODULE, file)
    if spec is None or spec.loader is None:
        raise ProjectCodeError(f"{path} is not a Python file")
    sys.path.append(str(project))  # a file with a standard module's name must not shadow it
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    # An imported name could be any function of any library.
    if not callable(found) or getattr(found, "__module__", None) != MODULE:
        raise ProjectCodeError(f"{path} defines no {kind} {name}")
    return found  # type: ignore[no-any-return]


def parameters_of(project: Path, reference: str) -> list[str]:
    """Return the names of the parameters of the function ``module:name``, without running its file.

    Empty for a file that cannot be read, which `defined_in` reports, and for a function made in another way
    than by ``def`` on the module's level.
    """
    path, name = _parts(reference)
    try:
        tree = ast.parse(resolved(project, path).read_bytes())
    except (SourceError, OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    for node in reversed(tree.body):  # the last definition counts
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            given = node.args
            return [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return []


def _parts(reference: str) -> tuple[str, str]:
    """Return the file's path in the project, and the name that it defines."""
    module_name, _, name = reference.partition(":")
    return f"{module_name.replace('.', '/')}.py", name
