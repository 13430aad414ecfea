"""The pages of docs/ for those who come from another tool: each example gives what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from arkor_dev.cli.main import main

DOCS = Path(__file__).parents[3] / "docs"
PAGES = sorted(DOCS.glob("from-*.md"))


def test_there_is_a_page_for_each_tool() -> None:
    overview = (DOCS / "coming-from.md").read_text()
    assert [page.stem for page in PAGES] == [
        "from-axolotl", "from-llama-factory", "from-openai", "from-trl", "from-unsloth",
    ]  # fmt: skip
    assert all(f"({page.name})" in overview for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_documented_conversions_are_accurate(
    page: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"^```\w+\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
    before, after, said = blocks
    command = re.search(r"^    arkor-dev (import-config (\S+))$", page.read_text(), re.MULTILINE)
    assert command is not None
    file = tmp_path / command[2]
    file.write_text(before)
    project = tmp_path / "project"
    project.mkdir()
    assert main(["import-config", str(file), "--project", str(project)]) == 0
    assert (project / "arkor.toml").read_text() == after
    printed = capsys.readouterr().out
    tool = page.read_text().splitlines()[0].removeprefix("# Coming from ").removesuffix(" fine-tuning")
    assert printed.startswith(f"{file.name} ({tool}) is now a trainer of arkor.toml:")
    assert printed[printed.find(said[:6]) :][: len(said)] == said
