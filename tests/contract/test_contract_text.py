"""``docs/contract.md`` as the code cites it: by heading, and each heading that is cited exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACT = ROOT / "docs" / "contract.md"
KINDS = {".py", ".ts", ".tsx", ".mjs", ".js", ".css", ".md", ".toml", ".yml"}
CITED = re.compile(r"contract\.md#([\w-]*)")
LINKED = re.compile(r"\]\(#([\w-]*)\)")
BY_NUMBER = re.compile(r"(?i:contract(?:\.md)?)[`*\s,:]*§")


def texts() -> dict[Path, str]:
    """Every text that people write here, but for the built page."""
    folders = [ROOT / name for name in ("arkor_dev", "docs", "scripts", "tests", "web/src")]
    found = [path for folder in folders for path in folder.rglob("*") if path.suffix in KINDS]
    return {
        path.relative_to(ROOT): path.read_text()
        for path in [*found, *ROOT.glob("*.md")]
        if path.is_file() and not {"static", "node_modules"} & set(path.parts)
    }


def anchor(heading: str) -> str:
    """The heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def headings(text: str) -> list[str]:
    """The anchors of a text's headings; a line of an indented block is none."""
    return [anchor(line.lstrip("#").strip()) for line in text.splitlines() if re.match(r"#+ ", line)]


def test_headings_are_unique() -> None:
    anchors = headings(CONTRACT.read_text())
    assert sorted(set(anchors)) == sorted(anchors)
    assert len(anchors) > 10


def test_cited_headings_exist() -> None:
    known = set(headings(CONTRACT.read_text()))
    cited = [(path, name) for path, text in texts().items() for name in CITED.findall(text)]
    cited += [(CONTRACT, name) for name in LINKED.findall(CONTRACT.read_text())]
    assert [(path, name) for path, name in cited if name not in known] == []
    assert len({path for path, _ in cited}) > 10


def test_sections_are_not_cited_by_number() -> None:
    own = Path(__file__).relative_to(ROOT)
    assert [path for path, text in texts().items() if path != own and BY_NUMBER.search(text)] == []


@pytest.mark.parametrize("text", ["CONTRACT §2", "docs/contract.md §1", "contract, §3", "`CONTRACT.md` §4"])
def test_a_citation_by_number_would_be_found(text: str) -> None:
    assert BY_NUMBER.search(text)


def test_headings_become_githubs_anchors() -> None:
    assert headings("# One\n\n## Backend API (`/v1`)\n\n    # no heading\n") == ["one", "backend-api-v1"]
