"""The page's types are generated from the contract: those committed have to be what it says now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "generate.py"

sys.path.insert(0, str(ROOT / "scripts"))
from generate import generated, types  # noqa: E402


def test_generated_files_are_up_to_date() -> None:
    stale = [path.name for path, text in generated().items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run scripts/generate.py"


def test_generate_check_writes_nothing() -> None:
    answer = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False
    )
    assert (answer.returncode, answer.stderr) == (0, "")


@pytest.mark.parametrize(
    ("python", "typescript"),
    [
        ("a: str", "  a: string;"),
        ("a: int | None", "  a: number | null;"),
        ("a: NotRequired[float]", "  a?: number;"),
        ('a: Literal["x", "y"]', '  a: "x" | "y";'),
        ('a: NotRequired[Literal["x"]]', '  a?: "x";'),
        ("a: list[str]", "  a: string[];"),
        ("a: list[str | None]", "  a: (string | null)[];"),
        ("a: dict[str, object]", "  a: Record<string, unknown>;"),
        ("a: Other", "  a: Other;"),
    ],
)
def test_python_types_become_typescript(python: str, typescript: str) -> None:
    assert typescript in types(f'class T(TypedDict):\n    """Doc."""\n    {python}\n', {"T"}).splitlines()


def test_a_subclass_becomes_an_extended_interface() -> None:
    source = 'class A(TypedDict):\n    """Doc."""\n    a: str\n\nclass B(A):\n    """More."""\n    b: int\n'
    assert "/** More. */\nexport interface B extends A {\n  b: number;\n}" in types(source, {"B"})


def test_constants_and_literals_become_typescript() -> None:
    source = 'A: Final = "x"\nB: Final[frozenset[str]] = frozenset({"d", "c"})\nC = Literal["p", "q"]\n'
    text = types(source, {"A", "B", "C"})
    assert 'export const A = "x";' in text
    assert 'export const B: ReadonlySet<string> = new Set(["c", "d"]);' in text
    assert 'export type C = "p" | "q";' in text


def test_an_unknown_type_is_refused_with_its_line() -> None:
    with pytest.raises(ValueError, match="line 3: no TypeScript for tuple"):
        types('class T(TypedDict):\n    """Doc."""\n    a: tuple[int, ...]\n', {"T"})
