"""Reads a Python script or a notebook as far as its values are plain: it is parsed and never run.

`Script` knows every assignment and call that is reached (not code under ``if False:``), in order, and
the conditions that each depends on. So a name has a value where exactly one assignment to it can be in
effect; any other is `Computed`.
"""

from __future__ import annotations

import ast
import contextlib
import json
import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeGuard

from arkor_dev.contract.errors import BadRequestError

from .entries import Computed, Entry, require_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT: Final = 512 * 1024
"""Maximum number of characters of code: the parser takes some 400 bytes of memory and a microsecond for
each."""
DEPTH: Final = 100
"""Deepest nesting of a script's syntax tree; its authors rarely pass 20."""
FOLLOWED: Final = 30
"""Names and calls that are followed, one after the other, to a value."""
STEPS: Final = 300_000
"""Steps that reading a script may take; its authors rarely pass 10,000. Lists of lists could multiply
without end."""
LONGEST: Final = 200
CLOSING: Final = str.maketrans("([{", ")]}")
MOST: Final = 1e15
CODE_MAGICS: Final = ("capture", "time", "timeit", "memit", "prun")
"""Magics of a cell whose other lines are Python; those of others are a program of their own."""
TRAINING: Final = re.compile(
    r"Trainer|TrainingArguments|Config\(|from_pretrained|get_peft_model|load_dataset"
)
LIBRARIES: Final = ("datasets", "peft", "transformers", "trl", "unsloth")
_COMMAND: Final = re.compile(r"[ \t]*[!%?]")
_ASSIGNED_COMMAND: Final = re.compile(r"([^=!%\n]++=[ \t]*+)[!%].*")
_PARSE: Final = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


@dataclass(frozen=True, slots=True)
class Place:
    """A position in the order of execution: in a function (None: the module), under conditions (by
    branch)."""

    scope: ast.AST | None
    order: int
    guards: tuple[tuple[int, int], ...] = ()

    def sees(self, other: Place) -> bool:
        """Return whether what is done at ``other`` is certainly done here."""
        return self.guards[: len(other.guards)] == other.guards


@dataclass(frozen=True, slots=True)
class Value:
    """An expression and its position. ``part`` is the index of the element used, if it has several."""

    node: ast.expr
    place: Place
    part: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """An assignment to an attribute or a key of a name: ``args.learning_rate = 1e-5``."""

    name: str
    key: str
    node: ast.expr | None
    place: Place
    line: int


@dataclass(slots=True)
class Script:
    """What a script does, in order."""

    lines: list[str]
    skipped: list[tuple[int, str]] = field(default_factory=list)
    """Cells of a notebook that are not Python: their lines, and how each begins."""
    calls: list[Value] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    modules: dict[str, int] = field(default_factory=dict)
    """Every module that is imported, with its line."""
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    functions: dict[str, ast.AST] = field(default_factory=dict)
    _bound: dict[str, list[tuple[Place, Value | None]]] = field(default_factory=dict)
    _ends: dict[int, int] = field(default_factory=dict)
    _order: int = 0
    _budget: int = STEPS

    # --- values

    def value(self, expression: Value, followed: int = 0) -> object:
        """Return an expression's plain value, or `Computed`."""
        node, place = expression.node, expression.place
        found = self._value(node, place, followed)
        if expression.part is not None:
            if isinstance(found, list) and expression.part < len(found):
                return found[expression.part]
            return self.computed(node)
        require_plain(found)
        return found

    def _value(self, node: ast.expr, place: Place, followed: int) -> object:
        self._spend(1)
        computed = self.computed(node)
        if followed > FOLLOWED:
            return computed
        match node:
            case ast.Constant(value=str() | bool() | int() | float() | None):
                return node.value
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                values = [self._value(item, place, followed + 1) for item in items]
                return computed if any(isinstance(value, Computed) for value in values) else values
            case ast.Dict():
                pairs = self.pairs(Value(node, place), followed + 1)
                if pairs is None or any(isinstance(value, Computed) for _, value, _ in pairs):
                    return computed
                return {key: value for key, value, _ in pairs}
            case ast.UnaryOp():
                return _unary(node.op, self._value(node.operand, place, followed + 1), computed)
            case ast.BinOp():
                left, right = (self._value(side, place, followed + 1) for side in (node.left, node.right))
                return _binary(node.op, left, right, computed)
            case ast.JoinedStr():
                return self._joined(node, place, followed, computed)
            case ast.Name():
                known = self.follow(Value(node, place))
                return computed if known is None else self.value(known, followed + 1)
        return computed

    def _joined(self, node: ast.JoinedStr, place: Place, followed: int, computed: Computed) -> object:
        text = ""
        for part in node.values:
            inner = part.value if isinstance(part, ast.FormattedValue) else part
            value = self._value(inner, place, followed + 1)
            plain = isinstance(value, str | int) and len(text) + len(str(value)) < 10 * LONGEST
            if not plain or (isinstance(part, ast.FormattedValue) and part.format_spec):
                return computed
            text += str(value)
        return text

    def pairs(self, expression: Value, followed: int = 0) -> list[tuple[str, object, int]] | None:
        """Return keys, values and lines of a dictionary that the script writes out; None if it computes
        it."""
        node, place = expression.node, expression.place
        if followed > FOLLOWED:
            return None
        if isinstance(node, ast.Name):
            known = self.follow(expression)
            first = None if known is None else self.pairs(known, followed + 1)
            if known is None or first is None:
                return None
            return first + [
                (change.key, self.changed(change, place), change.line)
                for change in self.changes_of(node.id, known.place, place)
            ]
        pairs: list[tuple[str, object, int]] = []
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if key is None:
                    inner = self.pairs(Value(value, place), followed + 1)
                    if inner is None:
                        return None
                    pairs += inner
                    continue
                name = self._value(key, place, followed + 1)
                if not isinstance(name, str):
                    return None
                pairs.append((name, self._value(value, place, followed + 1), value.lineno))
            return pairs
        if isinstance(node, ast.Call) and name_of(node.func) == "dict" and not node.args:
            return [(entry.key, entry.value, entry.line) for entry in self.keywords(expression)]
        return None

    def keywords(self, call: Value) -> list[Entry]:
        """Return a call's arguments by keyword. Those of ``**name`` are written out if the script does."""
        node = call.node
        assert isinstance(node, ast.Call)
        group, entries = name_of(node.func), list[Entry]()
        for keyword in node.keywords:
            inner = Value(keyword.value, call.place)
            if keyword.arg is not None:
                entries.append(Entry(keyword.arg, self.value(inner), keyword.value.lineno, group))
            elif (pairs := self.pairs(inner)) is not None:
                entries += [Entry(key, value, line, group) for key, value, line in pairs]
            else:
                source = self.computed(keyword.value)
                entries.append(Entry(f"**{source.source}", source, keyword.value.lineno, group))
        for entry in entries:
            require_plain([entry.key, entry.value])
        return entries

    def argument(self, call: Value, name: str, position: int | None = None) -> Value | None:
        """Return an argument of a call, by keyword or by position."""
        node = call.node
        assert isinstance(node, ast.Call)
        for keyword in node.keywords:
            if keyword.arg == name:
                return Value(keyword.value, call.place)
        plain = not any(isinstance(item, ast.Starred) for item in node.args)
        if position is not None and plain and position < len(node.args):
            return Value(node.args[position], call.place)
        return None

    # --- names

    def follow(self, expression: Value) -> Value | None:
        """Return the value of a name; None if that is unknown, or depends on a condition."""
        node, place = expression.node, expression.place
        if not isinstance(node, ast.Name):
            return expression
        found = self.assigned(node.id, place)
        return found[0] if len(found) == 1 else None

    def assigned(self, name: str, place: Place) -> list[Value | None]:
        """Return what a name may stand for: one value, or several that depend on conditions."""
        bound = self._bound.get(name, [])
        self._spend(len(bound))
        local = [item for item in bound if item[0].scope is place.scope and item[0].order < place.order]
        if not local and place.scope is not None:
            place = Place(None, self._order + 1)
            local = [item for item in bound if item[0].scope is None]
        values: list[Value | None] = []
        for where, value in reversed(local):
            values.append(value)
            if place.sees(where):
                break
        return values

    def changes_of(self, name: str, after: Place, before: Place | None) -> list[Change]:
        """Return the assignments to attributes and keys of a name between two positions."""
        self._spend(len(self.changes))
        return [
            change
            for change in self.changes
            if change.name == name
            and change.place.order > after.order
            and (before is None or change.place.order < before.order)
        ]

    def names_of(self, node: ast.expr) -> list[str]:
        """Return the names that an expression is assigned to."""
        return [
            name
            for name, bound in self._bound.items()
            if any(value is not None and value.node is node for _, value in bound)
        ]

    def _spend(self, steps: int) -> None:
        self._budget -= steps + 1
        if self._budget < 0:
            raise BadRequestError("The script takes too many steps to read.")

    def changed(self, change: Change, place: Place) -> object:
        """Return the value that a change sets, as it is known at ``place``."""
        if change.node is None or not place.sees(change.place):
            return Computed(self.lines[change.line - 1].strip()[:LONGEST])
        return self.value(Value(change.node, change.place))

    def returned(self, call: Value) -> Value | None:
        """Return what a function of the script returns, if it has one ``return``."""
        node = call.node
        function = self.functions.get(name_of(node.func)) if isinstance(node, ast.Call) else None
        if function is None:
            return None
        returns = [item for item in _own_statements(function) if isinstance(item, ast.Return)]
        if len(returns) != 1 or returns[0].value is None:
            return None
        return Value(returns[0].value, Place(function, self._ends[id(function)]), call.part)

    def computed(self, node: ast.expr) -> Computed:
        """Return an expression as its source."""
        line = self.lines[node.lineno - 1].encode()
        if node.end_lineno == node.lineno:
            text = line[node.col_offset : node.end_col_offset].decode(errors="replace")
        else:
            text = line[node.col_offset :].decode(errors="replace").strip()
            opened = text[len(text.rstrip("([{")) :]
            text += f"…{opened[::-1].translate(CLOSING)}" if opened else " …"
        return Computed(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…")

    # --- reading

    def read(self, tree: ast.Module) -> None:
        """Record what a module does."""
        _use_full_names(tree)
        self._block(tree.body, None, ())

    def _block(
        self, body: list[ast.stmt], scope: ast.AST | None, guards: tuple[tuple[int, int], ...]
    ) -> None:
        for statement in body:
            self._order += 1
            self._statement(statement, Place(scope, self._order, guards))

    def _statement(self, node: ast.stmt, place: Place) -> None:
        scope, guards, own = place.scope, place.guards, (place.order, 0)
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self.functions[node.name] = node
                self._bind(node.name, place, None)
                for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
                    self._bind(argument.arg, Place(node, self._order), None)
                self._block(node.body, node, ())
                self._order += 1
                self._ends[id(node)] = self._order
            case ast.ClassDef():
                self.classes[node.name] = node
                self._block(
                    [item for item in node.body if not isinstance(item, ast.Assign | ast.AnnAssign)],
                    scope,
                    guards,
                )
            case ast.If():
                self._expressions([node.test], place)
                certain = _certain(node.test)
                if certain is not False:
                    self._block(node.body, scope, guards if certain else (*guards, own))
                if certain is not True:
                    self._block(
                        node.orelse, scope, guards if certain is False else (*guards, (place.order, 1))
                    )
            case ast.While():
                if _certain(node.test) is not False:
                    self._expressions([node.test], place)
                    self._block([*node.body, *node.orelse], scope, (*guards, own))
            case ast.For() | ast.AsyncFor():
                self._expressions([node.iter], place)
                self._targets(node.target, place, None)
                self._block([*node.body, *node.orelse], scope, (*guards, own))
            case ast.Try() | ast.TryStar():
                self._block([*node.body, *node.orelse], scope, guards)
                for number, handler in enumerate(node.handlers, 1):
                    self._block(handler.body, scope, (*guards, (place.order, number)))
                self._block(node.finalbody, scope, guards)
            case ast.With() | ast.AsyncWith():
                self._expressions([item.context_expr for item in node.items], place)
                for item in node.items:
                    if item.optional_vars is not None:
                        self._targets(item.optional_vars, place, None)
                self._block(node.body, scope, guards)
            case ast.Match():
                self._expressions([node.subject], place)
                for number, case in enumerate(node.cases):
                    self._block(case.body, scope, (*guards, (place.order, number)))
            case ast.Import():
                for alias in node.names:
                    self.modules.setdefault(alias.name.partition(".")[0], node.lineno)
                    self._bind(alias.asname or alias.name.partition(".")[0], place, None)
            case ast.ImportFrom():
                self.modules.setdefault((node.module or "").partition(".")[0], node.lineno)
                for alias in node.names:
                    self._bind(alias.asname or alias.name, place, None)
            case ast.Assign():
                self._expressions([node.value], place)
                for target in node.targets:
                    self._targets(target, place, node.value)
            case ast.AnnAssign():
                if node.value is not None:
                    self._expressions([node.value], place)
                    self._targets(node.target, place, node.value)
            case ast.AugAssign():
                self._expressions([node.value], place)
                self._targets(node.target, place, None)
            case _:
                self._expressions(
                    [item for item in ast.iter_child_nodes(node) if isinstance(item, ast.expr)], place
                )

    def _expressions(self, nodes: list[ast.expr], place: Place) -> None:
        calls = [
            item for node in nodes for item in ast.walk(node) if isinstance(item, ast.Call | ast.NamedExpr)
        ]
        for call in sorted(calls, key=lambda item: (item.lineno, item.col_offset)):
            if isinstance(call, ast.NamedExpr):
                self._targets(call.target, place, call.value)
                continue
            self.calls.append(Value(call, place))
            match call:
                case ast.Call(
                    func=ast.Name(id="setattr"), args=[ast.Name(id=name), ast.Constant(value=str(key)), value]
                ):
                    self.changes.append(Change(name, key, value, place, call.lineno))
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="update"), keywords=keywords):
                    self.changes += [
                        Change(name, item.arg or "**", item.value if item.arg else None, place, call.lineno)
                        for item in keywords
                    ] or [Change(name, "**", None, place, call.lineno)]

    def _targets(self, target: ast.expr, place: Place, value: ast.expr | None) -> None:
        match target:
            case ast.Name(id=name):
                self._bind(name, place, None if value is None else Value(value, place))
            case ast.Tuple(elts=items) | ast.List(elts=items):
                for number, item in enumerate(items):
                    if isinstance(item, ast.Name):
                        self._bind(item.id, place, None if value is None else Value(value, place, number))
                    else:
                        self._targets(item, place, None)
            case ast.Attribute(value=ast.Name(id=name), attr=key):
                self.changes.append(Change(name, key, value, place, target.lineno))
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id=name), attr=middle), attr=key):
                self.changes.append(Change(f"{name}.{middle}", key, value, place, target.lineno))
            case ast.Subscript(value=ast.Name(id=name), slice=index):
                plain = index.value if isinstance(index, ast.Constant) else self.computed(index).source
                self.changes.append(Change(name, str(plain), value, place, target.lineno))
            case ast.Starred(value=inner):
                self._targets(inner, place, None)

    def _bind(self, name: str, place: Place, value: Value | None) -> None:
        self._bound.setdefault(name, []).append((place, value))


def read_script(text: str) -> Script:
    """Return a script. Raises BadRequestError if it is not Python, too long, or nests too deeply."""
    script = Script(text.splitlines())
    script.read(_parsed(text))
    return script


def read_notebook(text: str) -> Script:
    """Return a notebook's code cells as one script, whose lines count through all of them.

    Commands of the shell and of IPython are left out, and so are cells in another language. Raises
    BadRequestError.
    """
    try:
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        sources = ["".join(cell["source"]) for cell in cells]
    except (ValueError, RecursionError, KeyError, TypeError) as fault:
        raise BadRequestError(f"Not a valid notebook ({fault}).") from None
    require_plain(sources)
    script = Script([])
    tree = ast.Module([], [])
    for source in sources:
        first = len(script.lines) + 1
        # A blank line stands for every line that is left out, so that numbers stay right.
        script.lines += source.splitlines() or [""]
        if sum(map(len, script.lines)) > LIMIT:
            raise BadRequestError(f"The notebook has more than {LIMIT // 1024} KiB of code.")
        code = _python_of(source)
        if code is None:
            script.skipped.append((first, source.strip().partition("\n")[0][:60]))
            continue
        try:
            part = _parsed(code)
        except BadRequestError as fault:
            if TRAINING.search(source):
                raise BadRequestError(f"The cell from line {first} on: {fault.text}") from None
            script.skipped.append((first, source.strip().partition("\n")[0][:60]))
            continue
        tree.body += [ast.increment_lineno(statement, first - 1) for statement in part.body]
    script.read(tree)
    return script


def _python_of(source: str) -> str | None:
    """Return a cell without commands for the shell and IPython; None if it is not Python at all."""
    lines = source.splitlines()
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is not None and (magic := re.match(r"[ \t]*%%(\w*)", lines[first])):
        if magic[1] not in CODE_MAGICS:
            return None
        lines[first] = ""
    code = "\n".join(lines)
    with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        _compiled(code)
        return code  # whatever begins like a command is within a text
    continues = False
    for number, line in enumerate(lines):
        if continues or _COMMAND.match(line) or line.rstrip().endswith("?"):
            indent = line[: len(line) - len(line.lstrip())]
            lines[number] = "" if continues else f"{indent}pass"
            continues = line.rstrip().endswith("\\")
        elif assigned := _ASSIGNED_COMMAND.match(line):
            lines[number] = f"{assigned[1]}None"
    return "\n".join(lines)


def _parsed(text: str) -> ast.Module:
    if len(text) > LIMIT:
        raise BadRequestError(f"The script has more than {LIMIT // 1024} KiB of code.")
    try:
        tree = _compiled(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as fault:
        line = getattr(fault, "lineno", None)
        prefix = f"Line {line}: " if line else ""
        why = getattr(fault, "msg", None) or "it nests too deeply"
        raise BadRequestError(f"{prefix}not a valid Python script ({why}).") from None
    level: list[ast.AST] = [tree]
    for _ in range(DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return tree
    raise BadRequestError("The script nests too deeply.")


def _compiled(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a backslash in a text, and the like: it is not ours to mend
        tree = compile(text, "<script>", "exec", _PARSE)
    assert isinstance(tree, ast.Module)
    return tree


def _use_full_names(tree: ast.Module) -> None:
    """Replace the script's own names of what it imports from the libraries by theirs, in place."""
    names: list[ast.Name] = []
    own: set[str] = set()
    imported: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Name():
                names.append(node)
                if not isinstance(node.ctx, ast.Load):
                    own.add(node.id)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                own.add(node.name)
            case ast.arg():
                own.add(node.arg)
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in LIBRARIES:
                imported.update({alias.asname: alias.name for alias in node.names if alias.asname})
    for name in names:
        full = imported.get(name.id)
        if full is not None and not own & {name.id, full}:
            name.id = full


def name_of(function: ast.expr) -> str:
    """Return the last part of a function's name, such as ``from_pretrained``."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _certain(test: ast.expr) -> bool | None:
    """Return the value of a condition that no run changes; None for any other. A script is run as a
    program."""
    match test:
        case ast.Constant(value=value):
            return bool(value)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = _certain(operand)
            return None if inner is None else not inner
        case ast.Compare(left=ast.Name(id="__name__"), ops=[ast.Eq()]):
            return True
    return None


def _own_statements(function: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function without those of functions inside it."""
    waiting = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MOST


def _unary(operator: ast.unaryop, value: object, computed: Computed) -> object:
    if isinstance(operator, ast.Not) and isinstance(value, bool):
        return not value
    if isinstance(operator, ast.USub) and _is_number(value):
        return -value
    return value if isinstance(operator, ast.UAdd) and _is_number(value) else computed


def _binary(operator: ast.operator, left: object, right: object, computed: Computed) -> object:
    if isinstance(operator, ast.Add) and isinstance(left, str) and isinstance(right, str):
        return left + right if len(left) + len(right) < 10 * LONGEST else computed
    if not _is_number(left) or not _is_number(right):
        return computed
    match operator:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div() if right:
            return left / right
        case ast.FloorDiv() if right:
            return left // right
        case ast.Pow() if abs(right) <= 20 and 1e-3 < abs(left) <= 1024:
            return left**right
    return computed
