"""Reads configuration files into entries: a key, its value, and its line for messages.

The files are hostile: sizes and nesting are limited, YAML makes plain values only, and a script is parsed,
never run.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from typing import Any, Final

from arkor_dev.contract.errors import BadRequestError

VALUES: Final = 20_000
"""Values in one file; aliases of YAML could otherwise multiply without end."""
DEPTH: Final = 40


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a configuration; ``line`` counts from 1. In a script, ``group`` is the function called."""

    key: str
    value: Any
    line: int
    group: str = ""


@dataclass(frozen=True, slots=True)
class Computed:
    """A value that a script computes when it runs, as its source text."""

    source: str


def from_yaml(text: str) -> list[Entry]:
    """Return the keys of a YAML mapping. Raises BadRequestError."""
    try:
        import yaml
    except ImportError:
        raise BadRequestError(
            "Reading YAML needs PyYAML, which comes with local training: pip install 'arkor-dev[local]'"
        ) from None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if not isinstance(root, yaml.MappingNode):
            raise BadRequestError("The file has no keys: it is not a training configuration.")
        budget = [VALUES]
        loader = yaml.SafeLoader("")

        def plain(node: Any, depth: int) -> Any:
            budget[0] -= 1
            if budget[0] < 0 or depth > DEPTH:
                raise BadRequestError(f"The file holds more than {VALUES:,} values, or nests too deeply.")
            if isinstance(node, yaml.SequenceNode):
                return [plain(child, depth + 1) for child in node.value]
            if isinstance(node, yaml.MappingNode):
                return {str(plain(key, depth + 1)): plain(value, depth + 1) for key, value in node.value}
            return loader.construct_object(node)

        return [Entry(str(key.value), plain(value, 0), key.start_mark.line + 1) for key, value in root.value]
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        prefix = f"Line {mark.line + 1}: " if mark else ""
        raise BadRequestError(
            f"{prefix}not valid YAML ({getattr(fault, 'problem', None) or fault})."
        ) from None
    except (RecursionError, ValueError) as fault:
        raise BadRequestError(f"The file cannot be read: {fault}.") from None


def from_json(text: str) -> list[Entry]:
    """Return the keys of a JSON object. Raises BadRequestError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise BadRequestError(f"Not valid JSON ({fault}).") from None
    if not isinstance(value, dict):
        raise BadRequestError("The file is not a JSON object: it is not a training configuration.")
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        for key in re.findall(r'"((?:[^"\\]|\\.)*)"\s*:', line):
            lines.setdefault(key, number)
    return [Entry(key, item, lines.get(key, 1)) for key, item in value.items()]


def from_notebook(text: str) -> list[Entry]:
    """Return the entries of a notebook's code cells, like `from_script`; lines count through all of them."""
    try:
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        sources = ["".join(cell["source"]) for cell in cells]
    except (ValueError, RecursionError, KeyError, TypeError) as fault:
        raise BadRequestError(f"Not a valid notebook ({fault}).") from None
    code = "\n".join(sources)
    return from_script(re.sub(r"(?m)^(\s*)[%!].*$", r"\1pass", code))


def from_script(text: str) -> list[Entry]:
    """Return the arguments by keyword of every call in a Python script, which is parsed and not run.

    Names that the script sets once to a plain value are replaced by it; anything else is `Computed`.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as fault:
        line = getattr(fault, "lineno", None)
        prefix = f"Line {line}: " if line else ""
        raise BadRequestError(
            f"{prefix}not a valid Python script ({getattr(fault, 'msg', fault)})."
        ) from None
    names = _constants(tree)
    entries: list[Entry] = []
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        group = _name(call.func)
        entries += [
            Entry(str(number), _value(argument, names), argument.lineno, group)
            for number, argument in enumerate(call.args)
        ]
        entries += [
            Entry(keyword.arg, _value(keyword.value, names), keyword.value.lineno, group)
            for keyword in call.keywords
            if keyword.arg is not None
        ]
    return entries


def _name(function: ast.expr) -> str:
    """Return the last part of a function's name, such as ``from_pretrained``."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    """Return the expressions of names that are assigned exactly once."""
    constants: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            constants.setdefault(node.targets[0].id, []).append(node.value)
        elif isinstance(node, ast.AnnAssign | ast.AugAssign) and isinstance(node.target, ast.Name):
            constants.setdefault(node.target.id, []).extend([node.value] * 2 if node.value else [])
    return {name: values[0] for name, values in constants.items() if len(values) == 1}


def _value(node: ast.expr, names: dict[str, ast.expr]) -> Any:
    if isinstance(node, ast.Name) and node.id in names and not isinstance(names[node.id], ast.Name):
        node = names[node.id]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return Computed(ast.unparse(node)[:200])
