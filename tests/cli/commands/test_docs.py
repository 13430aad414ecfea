"""`arkor-dev docs` opens the built documentation, and scripts/check-docs lets no fault into it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from arkor_dev.cli.commands import docs
from arkor_dev.cli.main import main
from arkor_dev.server.api import documentation

ROOT = Path(__file__).parents[3]


def test_docs_opens_the_first_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    monkeypatch.setattr(docs, "SITE", tmp_path / "site")
    monkeypatch.setattr(docs, "pages", lambda: documentation.pages([tmp_path / "site"]))
    assert main(["docs"]) == 2
    assert "came without its documentation" in capsys.readouterr().err
    page = tmp_path / "site" / "index.html"
    page.parent.mkdir()
    (page.parent / "llms.txt").write_text(documentation.TITLE)
    assert main(["docs"]) == 0
    assert f"as Markdown, in {page.parent}\n" in capsys.readouterr().out
    assert not opened.exists()
    page.write_text("<h1>Arkor Studio</h1>")
    assert main(["docs"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(page)]
    assert opened.read_text().strip() == page.as_uri()


CONFIG = """
[project]
site_name = "Small"
site_dir = "site"
use_directory_urls = false
nav = [{ "One" = "index.md" }, { "More" = [{ "Two" = "two.md" }] }]
theme.font = false
plugins.offline = {}
"""


def test_the_documentation_site_is_self_contained(tmp_path: Path) -> None:
    pytest.importorskip("zensical")
    (tmp_path / "docs").mkdir()
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "iframe-worker.js").write_text("")
    (tmp_path / "zensical.toml").write_text(CONFIG)
    one, two = (tmp_path / "docs" / name for name in ("index.md", "two.md"))
    one.write_text("# One\n\n[Two](two.md#part)\n")
    assert "not in both: two.md" in build(tmp_path)
    two.write_text("# Two\n\n## Part\n")
    assert build(tmp_path) == ""
    assert "unpkg.com" not in (tmp_path / "site" / "two.html").read_text()
    one.write_text("# One\n\n[gone](gone.md), [part](two.md#gone)\n")
    assert "page does not exist" in (said := build(tmp_path))
    assert "anchor does not exist" in said
    one.write_text('# One\n\n<script src="https://example.org/x.js"></script>\n')
    assert "index.html: https://example.org/x.js" in build(tmp_path)


def build(root: Path) -> str:
    """Build the site; return what is wrong with it."""
    argv = [sys.executable, str(ROOT / "scripts" / "check-docs"), str(root)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=root)
    assert bool(done.returncode) == bool(done.stderr)
    return done.stderr


def test_the_script_gets_what_builds_the_site_where_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    script = shutil.copy(ROOT / "scripts" / "check-docs", tmp_path / "scripts")
    python, said = tmp_path / ".venv" / "bin" / "python", tmp_path / "said"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho "$@" >> {said}\ntest "$1" != -c\n')  # it has no zensical
    python.chmod(0o755)
    subprocess.run([sys.executable, "-I", "-S", script, "argument"], check=True, capture_output=True)
    asked, installed, built = said.read_text().splitlines()
    assert asked == "-c import zensical"
    assert installed.startswith("-m pip install ")
    assert installed.endswith(f"--constraint {tmp_path / 'constraints.txt'} zensical")
    assert built == f"{script} argument"
