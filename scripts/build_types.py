"""Writes ``web/src/contract.gen.ts``: the contract as TypeScript, so that page and daemon cannot drift.

Reads ``arkor_dev/contract/shapes.py`` as syntax, not by import: type annotations stay as they were
written, in the order they were written, and the result does not depend on the Python that runs this.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "arkor_dev" / "contract" / "shapes.py"
TARGET = ROOT / "web" / "src" / "contract.gen.ts"

SCALARS = {
    "str": "string",
    "int": "number",
    "float": "number",
    "bool": "boolean",
    "object": "unknown",
    "None": "null",
}


def render(source: str) -> str:
    """The TypeScript for the contract's Python source; ``ValueError`` for a type it does not know."""
    parts = [
        "// Generated from arkor_dev/contract/shapes.py by scripts/build_types.py. Not edited by hand.\n"
    ]
    for node in ast.parse(source).body:
        match node:
            case ast.ClassDef(bases=[ast.Name(id="TypedDict")]):
                parts.append(_interface(node))
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Subscript() as value):
                parts.append(f"export type {name} = {_type(value)};\n")
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str() as text)):
                parts.append(f"export const {name} = {_quoted(text)};\n")
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(args=[ast.Set(elts=items)])):
                words = sorted(str(ast.literal_eval(item)) for item in items)
                listed = ", ".join(_quoted(word) for word in words)
                parts.append(f"export const {name}: ReadonlySet<string> = new Set([{listed}]);\n")
    return "\n".join(parts)


def _interface(node: ast.ClassDef) -> str:
    lines = [f"/** {_summary(node)} */", f"export interface {node.name} {{"]
    for item in node.body:
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        hint, mark = item.annotation, ""
        match hint:
            case ast.Subscript(value=ast.Name(id="NotRequired"), slice=inner):
                hint, mark = inner, "?"
        lines.append(f"  {item.target.id}{mark}: {_type(hint)};")
    return "\n".join([*lines, "}\n"])


def _summary(node: ast.ClassDef) -> str:
    text = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
    return text.replace("``", "`")


def _type(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return SCALARS.get(name, name)
        case ast.Constant(value=None):
            return "null"
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return f"{_type(left)} | {_type(right)}"
        case ast.Subscript(value=ast.Name(id="Literal"), slice=ast.Tuple(elts=items)):
            return " | ".join(_quoted(str(ast.literal_eval(item))) for item in items)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=ast.Constant(value=str() as text)):
            return _quoted(text)
        case ast.Subscript(value=ast.Name(id="list"), slice=inner):
            return f"{_type(inner)}[]" if isinstance(inner, ast.Name) else f"({_type(inner)})[]"
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[key, value])):
            return f"Record<{_type(key)}, {_type(value)}>"
    raise ValueError(f"line {node.lineno}: no TypeScript for {ast.unparse(node)}")


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def main() -> int:
    """Writes the file; with ``--check`` only says (exit 1) whether it is stale."""
    wanted = render(SOURCE.read_text(encoding="utf-8"))
    if "--check" in sys.argv[1:]:
        stale = not TARGET.exists() or TARGET.read_text(encoding="utf-8") != wanted
        if stale:
            print("web/src/contract.gen.ts is stale; run scripts/build_types.py", file=sys.stderr)
        return int(stale)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
