"""Generates the synchronous Python API and the types of a trainer's settings (``generate.py`` runs it)."""

from __future__ import annotations

import ast
import textwrap
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.settings import SETTINGS, below, tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from arkor_dev.contract.rules import Rule
    from arkor_dev.contract.settings.setting import Setting

WIDTH: Final = 110
ASYNC_ONLY: Final = frozenset({"of", "backend", "open", "start", "keep", "address_of", "feed", "html"})
"""What the synchronous classes do not have: it is for the package itself."""
BASES: Final = {"AsyncStudio": "BlockingStudio", "AsyncRun": "BlockingRun"}
"""The classes of ``sdk/blocking.py`` with what is not generated."""
BY_HAND: Final = frozenset({"close", "wait", "live"})
PARAMETERS: Final = ("model", "dry_run")
"""Settings that `train` has as parameters of their own."""
KINDS: Final = {"whole": "int", "number": "float", "flag": "bool", "text": "str"}

STUDIO: Final = '''"""The Python API for code that does not await: `AsyncStudio` with its loop in a thread.

Generated from ``async_studio`` by ``scripts/generate.py``. Not edited by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, Unpack

from .async_studio import AsyncAdapter, AsyncData, AsyncEndpoint
from .blocking import Blocking, BlockingRun, BlockingStudio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import DataCheck
    from arkor_dev.contract.events import SampleCreated, VerdictSoFar
    from arkor_dev.contract.export_formats import ExportForm
    from arkor_dev.contract.shapes import Deployment, EvaluationPart, Export, Job, JobStatus

    from .async_studio import Verdict
    from .metrics import Metrics
    from .requests import Dataset
    from .training_settings import TrainingSettings
'''
SETTING_TYPES: Final = '''"""The settings of a trainer as types: a type checker reports a misspelt one.

Generated from ``arkor_dev/contract/settings/`` by ``scripts/generate.py``. Not edited by hand. None removes a
setting of ``arkor.toml`` for the run.
"""

from __future__ import annotations

from typing import Literal, TypedDict
'''


JOB_SETTINGS: Final = '''"""The settings in a job's config as types.

Generated from ``arkor_dev/contract/settings/`` by ``scripts/generate.py``. Not edited by hand. None is the
default.
"""

from __future__ import annotations

from typing import Literal, TypedDict
'''


def setting_types() -> str:
    """Return the module with a ``TypedDict`` of every trainer setting, and one of each table of them."""
    parts = [SETTING_TYPES.rstrip()]
    names = {table: _camel(table) for table in tables()}
    for table, name in names.items():
        parts += ["", "", f"class {name}(TypedDict, total=False):", f'    """The table ``{table}``."""', ""]
        parts += [line for row in below(table) for line in _setting(row, row.names)]
    parts += [
        "",
        "",
        "class TrainingSettings(TypedDict, total=False):",
        '    """The settings of a trainer."""',
        "",
    ]
    for table, name in names.items():
        parts += [f"    {table}: {name}"]
    for row in below(""):
        if row.name not in PARAMETERS:
            parts += _setting(row, row.names)
    return "\n".join([*parts, ""])


def job_settings(own: AbstractSet[str]) -> str:
    """Return the module with a ``TypedDict`` of a job's settings, without its config's ``own`` fields."""
    parts = [JOB_SETTINGS.rstrip(), "", ""]
    parts += ["class JobSettings(TypedDict, total=False):", '    """The settings of a job, by field."""', ""]
    for row in SETTINGS:
        if row.field not in own:
            rules = (row.rule, *(row.of(method).rule for method in row.variants))
            parts += _annotated(row.field, rules)
    return "\n".join([*parts, ""])


def _camel(table: str) -> str:
    return "".join(word.capitalize() for word in table.split("_")) + "Settings"


def _setting(row: Setting, names: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of a setting; an alias says only which it is."""
    rules = (row.rule, *(row.of(method).rule for method in row.variants))
    for name in names:
        yield from _annotated(name, rules)
        text = row.help if name == row.name else f"The same as {row.name}."
        yield from textwrap.wrap(f'"""{text}"""', WIDTH, initial_indent="    ", subsequent_indent="    ")


def _annotated(name: str, rules: tuple[Rule, ...]) -> Iterator[str]:
    """Yield an annotation, broken as ruff does it if it is too long."""
    choices = list(dict.fromkeys(choice for rule in rules for choice in rule.choices))
    kinds = [_literal(choices)] if choices else _kinds(rules[0])
    line = f"    {name}: {' | '.join([*kinds, 'None'])}"
    if len(line) <= WIDTH:
        yield line
        return
    yield f"    {name}: ("
    joined = f"        {' | '.join([*kinds, 'None'])}"
    if len(joined) <= WIDTH:
        yield from (joined, "    )")
        return
    for number, kind in enumerate([*kinds, "None"]):
        part = f"        {'| ' if number else ''}{kind}"
        if len(part) <= WIDTH:
            yield part
        else:
            yield "        Literal["
            yield from (f"            {_quoted(choice)}," for choice in choices)
            yield "        ]"
    yield "    )"


def _kinds(rule: Rule) -> list[str]:
    """Return the types of a value; a list may be written as its only member."""
    if rule.of is not None:
        (member,) = _kinds(rule.of)
        return [member, f"list[{member}]"]
    return [_literal(rule.choices) if rule.choices else KINDS[rule.kind]]


def _literal(choices: Sequence[str]) -> str:
    return f"Literal[{', '.join(map(_quoted, choices))}]"


def _quoted(text: str) -> str:
    return f'"{text}"'


def synchronous(source: str) -> str:
    """Return the module of the synchronous classes, from the source of the asynchronous ones."""
    parts = [STUDIO.rstrip()]
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Async"):
            parts += ["", "", *_class(node)]
    return "\n".join([*parts, ""])


def _class(node: ast.ClassDef) -> Iterator[str]:
    name = node.name.removeprefix("Async")
    yield f"class {name}({BASES.get(node.name, f'Blocking[{node.name}]')}):"
    yield from _docstring(node, 4)
    following: list[ast.stmt | None] = [*node.body[1:], None]
    for item, after in zip(node.body, following, strict=True):
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            text = ast.literal_eval(after.value) if isinstance(after, ast.Expr) else ""
            yield from _attribute(item.target.id, ast.unparse(item.annotation), text)
        elif isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) and not (
            item.name.startswith("_") or item.name in ASYNC_ONLY | BY_HAND
        ):
            yield from _method(item)


def _attribute(name: str, kind: str, text: str) -> Iterator[str]:
    yield from ("", "    @property", f"    def {name}(self) -> {_plain(kind)}:", f'        """{text}"""')
    yield f"        return {_wrapped(kind, f'self.inner.{name}')}"


def _method(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """Yield the synchronous method of a coroutine, of an asynchronous generator or of a plain method."""
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    is_property = bool(decorators & {"a_property", "property"})
    assert node.returns is not None, node.name
    kind = ast.unparse(node.returns)
    yield ""
    if is_property:
        yield "    @property"
    yield from _signature(node, kind)
    yield from _docstring(node, 8, as_property=is_property)
    call = f"self.inner.{node.name}"
    if "property" in decorators:
        yield f"        return {_wrapped(kind, call)}"
        return
    arguments = [] if is_property else list(_arguments(node))
    if kind.startswith("AsyncIterator"):
        begin, end = f"return self._loop.iterate({call}(", "))"
    elif kind == "Self" or kind == "None":
        begin, end = f"self._loop.run({call}(", "))"
    elif isinstance(node, ast.AsyncFunctionDef) and _wrapped(kind, "") == "":
        begin, end = f"return self._loop.run({call}(", "))"
    elif isinstance(node, ast.AsyncFunctionDef):
        begin, end = f"found = self._loop.run({call}(", "))"
    else:
        begin, end = f"found = {call}(", ")"
    yield from _call(begin, arguments, end)
    if kind == "Self":
        yield "        return self"
    elif begin.startswith("found"):
        yield f"        return {_wrapped(kind, 'found')}"


def _call(begin: str, arguments: list[str], end: str) -> Iterator[str]:
    """Yield a call on one line or, as ruff breaks it, with its arguments on lines of their own."""
    line = f"        {begin}{', '.join(arguments)}{end}"
    if len(line) <= WIDTH:
        yield line
    elif end == ")":
        yield f"        {begin}"
        yield from (f"            {argument}," for argument in arguments)
        yield "        )"
    else:
        outer, _, inner = begin.rpartition("(")[0].rpartition("(")
        yield f"        {outer}("
        one = f"            {inner}({', '.join(arguments)})"
        if len(one) <= WIDTH:
            yield one
        else:
            yield f"            {inner}("
            yield from (f"                {argument}," for argument in arguments)
            yield "            )"
        yield "        )"


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef, kind: str) -> Iterator[str]:
    parameters = ["self"]
    positional, keywords = node.args.args[1:], node.args.kwonlyargs
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(node.args.defaults))
    defaults += node.args.defaults
    parameters += map(_parameter, positional, defaults)
    if keywords:
        parameters += ["*", *map(_parameter, keywords, node.args.kw_defaults)]
    if node.args.kwarg is not None:
        parameters.append(f"**{_parameter(node.args.kwarg, None)}")
    line = f"    def {node.name}({', '.join(parameters)}) -> {_plain(kind)}:"
    if len(line) <= WIDTH:
        yield line
        return
    yield f"    def {node.name}("
    yield from (f"        {parameter}," for parameter in parameters)
    yield f"    ) -> {_plain(kind)}:"


def _parameter(argument: ast.arg, default: ast.expr | None) -> str:
    assert argument.annotation is not None, argument.arg
    hint = _plain(ast.unparse(argument.annotation))
    value = "" if default is None else f" = {ast.unparse(default)}".replace("'", '"')
    return f"{argument.arg}: {hint}{value}"


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for argument in node.args.args[1:]:
        yield argument.arg + _inner(argument)
    for argument in node.args.kwonlyargs:
        yield f"{argument.arg}={argument.arg}{_inner(argument)}"
    if node.args.kwarg is not None:
        yield f"**{node.args.kwarg.arg}"


def _inner(argument: ast.arg) -> str:
    assert argument.annotation is not None, argument.arg
    return ".inner" if ast.unparse(argument.annotation).startswith("Async") else ""


def _plain(kind: str) -> str:
    """Return the synchronous counterpart of a type."""
    return kind.replace("Async", "")


def _wrapped(kind: str, value: str) -> str:
    """Return the expression that makes a value of an asynchronous class one of its counterpart."""
    if kind.startswith("list[Async"):
        return f"[{_plain(kind[5:-1])}(self._loop, each) for each in {value}]"
    if kind.startswith("Async") and not kind.startswith("AsyncIterator"):
        return f"{_plain(kind)}(self._loop, {value})"
    return value


def _docstring(
    node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, indent: int, *, as_property: bool = False
) -> Iterator[str]:
    text = (ast.get_docstring(node) or "").replace("Async", "").replace("async with", "with")
    if as_property and text.startswith("Return "):
        text = text.removeprefix("Return ")
        text = text[0].upper() + text[1:] if text[0] != "`" else text
    first, *rest = text.splitlines()
    space = " " * indent
    if not rest:
        yield f'{space}"""{first}"""'
        return
    yield f'{space}"""{first}'
    yield from (f"{space}{line}".rstrip() for line in rest)
    yield f'{space}"""'
