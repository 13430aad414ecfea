"""Report phrases that stop a native reader, in code, comments, docs and the page.

Packages in `UNFINISHED` are skipped until somebody has rewritten them. An entry without any such phrase is an
error, too, so that the list can only shrink. Exits with 1 for any finding.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

PHRASES: Final = {
    r"any ?more\b": "no longer",
    r"is asked of\b": "requests",
    r"of one's own\b": "custom, its own",
    r"(?<!there )(?:is|are|was|were) no (?:JSON|number|path|file|folder|error|list|object|port|link|key|"
    r"message|model|text|program|hash|name|address|token|row|answer|directory|value)\b": "is not a",
    r"(?:what|which|that) is (?-i:none)\b": "invalid",
    r"As (?:`\w+`|``\w+``) has it": "See `…`",
    r"whether (?:there was one|it was there)\b": "return whether it existed",
    r"at the (?:most|least)\b": "at most, at least",
    r"in vain\b": "without success",
    r"go(?:es|ing)? on from\b": "resumes from, continues from",
    r"as (?:if|though) it were not there": "as if it were missing",
    r"what (?:is|was) told\b": "the message",
    r"takes? (?:\w+ ){1,3}away\b": "removes",
    r"nobody (?:waits|asks|needs|knows|sees|hears)\b": "say who does what",
    r"\"\"\"(?:That|Those) of\b": "Return the …",
}
"""Patterns, matched regardless of case, and what to write instead."""
OUTSIDE_TESTS: Final = {
    r"go(?:es|ing)? on\b": "continues, resumes",
    r"for ever\b": "forever",
    r"hears? of\b": "receives, learns of",
    r"is told\b": "receives, is shown",
    r"in the place of\b": "instead of",
    r"(?:is|are) there already\b": "exists",
    r"to be had\b": "available",
    r"had back\b": "recovered",
    r"passed over\b": "skipped, ignored",
    r"(?:came|comes?) of\b": "results from",
    r"beside one another\b": "side by side",
    r"belongs? to nobody\b": "has no owner",
    r"the same of\b": "name it",
    r"every so often\b": "from time to time",
    r"None where\b": "None if, None for",
    r"who asks\b": "the caller",
    r"ha(?:s|ve) to be\b": "must be",
    r"looked at\b": "examined, checked, viewed",
    r"fallen back on\b": "used instead",
    r"of late\b": "recently",
    r"stands beside\b": "is next to",
    r"as things are\b": "name the condition",
    r"by standard input\b": "from standard input",
    r"in mid-run\b": "during training",
    r"an? making\b(?! run)": "a making run",
    r"taken back\b": "undone, removed",
    r"no counterpart\b": "no equivalent",
    r"for a person\b(?!\W?s\b)": "for the user",
}
"""The same; docstrings of tests are not rewritten throughout."""
UNFINISHED: Final[tuple[str, ...]] = ()
"""Folders that are not rewritten yet."""
SUFFIXES: Final = (".py", ".ts", ".tsx", ".md")
SKIPPED: Final = ("arkor_dev/static/", "scripts/wording.py", "CHANGES.md")
TESTS: Final = re.compile(r"tests/|.*\.test\.tsx?$")
ALL: Final = {**PHRASES, **OUTSIDE_TESTS}


def pattern(phrases: dict[str, str]) -> re.Pattern[str]:
    """Return a pattern that matches each of the phrases, from the beginning of a word."""
    return re.compile("|".join(rf"(?<!\w)(?:{phrase})" for phrase in phrases), re.IGNORECASE)


IN_TESTS, ELSEWHERE = pattern(PHRASES), pattern(ALL)


def tracked_files() -> list[str]:
    """Return the tracked text files that are checked."""
    listing = subprocess.run(["git", "ls-files"], check=True, capture_output=True, text=True).stdout  # noqa: S607
    return [
        name
        for name in listing.splitlines()
        if name.endswith(SUFFIXES) and ".gen." not in name and not name.startswith(SKIPPED)
    ]


def findings(name: str) -> Iterator[tuple[int, str, str]]:
    """Yield line number, phrase and advice for each finding in a file."""
    path = Path(name)
    if not path.is_file():
        return
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        for match in (IN_TESTS if TESTS.match(name) else ELSEWHERE).finditer(line):
            phrase = match[0]
            advice = next(text for key, text in ALL.items() if re.match(key, phrase, re.IGNORECASE))
            yield number, phrase, advice


def main() -> int:
    """Print all findings; return the exit status."""
    status = 0
    unfinished: Counter[str] = Counter()
    for name in tracked_files():
        folder = next((entry for entry in UNFINISHED if name.startswith(f"{entry}/")), None)
        for number, phrase, advice in findings(name):
            if folder:
                unfinished[folder] += 1
                continue
            print(f"{name}:{number}: {phrase!r}: write {advice!r}")
            status = 1
    for folder in UNFINISHED:
        if not unfinished[folder]:
            print(f"scripts/wording.py: {folder} has no findings: remove it from UNFINISHED")
            status = 1
    total = sum(unfinished.values())
    print(f"{total} phrases in {len(unfinished)} folders are still to be rewritten.")
    return status


if __name__ == "__main__":
    sys.exit(main())
