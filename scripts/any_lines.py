#!/usr/bin/env python3
"""Counts the lines with ``Any`` in each package, where "go to definition" ends.

Prints the numbers beside those of ``tests/any_lines.json``, which may only fall; ``--write`` stores them, and
``--list PACKAGE`` prints the lines of one package.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = ROOT / "arkor_dev"
STORED: Final = ROOT / "tests" / "any_lines.json"
ANY: Final = re.compile(r"\bAny\b")


def lines() -> list[tuple[str, str]]:
    """Return every line with ``Any``: its package, and ``path:number: text``."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        if inside.parts[0] in ("static", "template"):
            continue
        depth = 2 if inside.parts[0] == "local" else 1
        package = "/".join(inside.parts[:-1][:depth]) or "."
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if ANY.search(line):
                found.append((package, f"{inside}:{number}: {line.strip()}"))
    return found


def counts() -> dict[str, int]:
    """Return the number of such lines of each package."""
    return dict(sorted(Counter(package for package, _ in lines()).items()))


def main() -> None:
    match sys.argv[1:]:
        case ["--list", package]:
            print(*(line for of, line in lines() if of == package), sep="\n")
        case ["--write"]:
            STORED.write_text(json.dumps(counts(), indent=1) + "\n", encoding="utf-8")
        case _:
            stored, now = json.loads(STORED.read_text(encoding="utf-8")), counts()
            for package in sorted({*stored, *now}):
                print(f"{package:24}{stored.get(package, 0):6}{now.get(package, 0):6}")
            print(f"{'all':24}{sum(stored.values()):6}{sum(now.values()):6}")


if __name__ == "__main__":
    main()
