"""The documentation matches the program, and CONTRIBUTING matches the repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from arkor_dev.project.arkor_toml import load_trainers
from tests.support.moving_picture import chunks

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_documented_help_is_current() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text()
    shown = re.search(r"<!-- help: .*? -->\n```\n(.*?)```", page, re.DOTALL)
    assert shown
    printed = subprocess.run(
        [sys.executable, "-m", "arkor_dev", "--help"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
    ).stdout
    assert shown[1] == printed


def test_documented_toml_is_valid(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("chats.jsonl", "eval.jsonl", "refunds.jsonl", "check.jsonl"):
        (tmp_path / "data" / name).write_text('{"prompt": "a", "completion": "b"}\n')
    (tmp_path / "data" / "corrections.jsonl").write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n')
    (tmp_path / "data" / "prompts.jsonl").write_text('{"prompt": "a", "unit": "b"}\n')
    for name in ("requests.jsonl", "unseen.jsonl"):
        (tmp_path / "data" / name).write_text('{"prompt": "a"}\n')
    (tmp_path / "desk.py").write_text("class Desk: ...\n")
    (tmp_path / "rubric.md").write_text("1: polite. 0: not.")
    (tmp_path / "data" / "faq.csv").write_text("question,answer\na,b\n")
    # Those of other tools have data of their own: tests/project/import_config/test_documentation.py.
    pages = [path for path in ROOT.glob("docs/*.md") if not path.name.startswith("from-")]
    first, *more = [block for path in (ROOT / "README.md", *pages) for block in tomls(path)]
    assert len(more) >= 15
    for block in ["", *more]:
        (tmp_path / "arkor.toml").write_text(together(first, block))
        (trainer,) = load_trainers(tmp_path)
        assert trainer["name"] == "support-bot"


def tomls(path: Path) -> list[str]:
    """The blocks of TOML in a document: fenced ones, and indented ones that begin like it."""
    text = path.read_text()
    fenced = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    indented = re.findall(r"\n\n((?: {4}(?:\w+ = |\[\[).*\n)(?: {4}.*\n)*)", text)
    return [*fenced, *(re.sub(r"^ {4}", "", block, flags=re.MULTILINE) for block in indented)]


def together(first: str, block: str) -> str:
    """A trainer with what ``block`` says of it in place of its own, and the other tables of ``block``."""
    ours, _, others = re.sub(r"^\[\[trainer\]\]\n", "", block, flags=re.MULTILINE).partition("\n[")
    if block.startswith("[") and not block.startswith("[[trainer]]"):
        tables, _, ours = block.partition("[[trainer]]\n")
        others = tables.removeprefix("[")
    if others.startswith("trainer.lora]"):
        first = first.partition("\n[trainer.lora]")[0]
    keys = set(tomllib.loads(ours)) | ({"eval_split"} if "eval_dataset" in ours else set())
    kept = [line for line in first.splitlines() if line.partition(" ")[0] not in keys]
    return "\n".join([kept[0], ours, *kept[1:], f"[{others}" if others else ""])


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120


def test_pictures_and_links_exist() -> None:
    for path in (ROOT / "README.md", *ROOT.glob("docs/*.md")):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / target).exists(), (path.name, target)


def test_paths_named_in_contributing_exist() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    named = re.findall(r"(?<![\w/])((?:arkor_dev|docs|scripts|tests|web)/[\w./-]*\w/?)", guide)
    assert len(named) > 40
    made = {"web/node_modules"}  # by a script, when it is first needed
    assert [name for name in named if name not in made and not (ROOT / name).exists()] == []


def test_claims_name_checks_that_exist() -> None:
    table = (ROOT / "docs" / "claims.md").read_text()
    commands = re.findall(r"`(?:\./)?scripts/([\w-]+)([^`]*)`", table)
    assert len(commands) > 30
    study = (ROOT / "scripts" / "bench").read_text()
    for script, arguments in commands:
        assert (ROOT / "scripts" / script).exists(), script
        for word in arguments.split():
            if script == "bench":
                # A part, --case, or a case of the part.
                part = ROOT / "scripts" / "benchmarks" / f"{arguments.split()[0]}.py"
                assert f'"{word}"' in study + part.read_text(), word
            elif "/" in word:
                assert (ROOT / word).exists(), word


def test_code_walks_in_contributing_are_current() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    walk = re.findall(r"^ *(\d+)  (\S+\.\w+) +(?:\w+\.)?(#?\w+) ", guide, re.MULTILINE)
    lengths = [21, 14, 18, 23, 12]
    assert [int(number) for number, _, _ in walk] == [
        step + 1 for length in lengths for step in range(length)
    ]
    for _, path, name in walk:
        defined = rf"^ *(?:export |async )*(?:def |function )?{name}(?:\(| = )"
        assert re.search(defined, (ROOT / path).read_text(), re.MULTILINE), f"{path}: {name}"


def test_what_the_code_walks_cross_processes_by_exists() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    sources = [path for folder in ("arkor_dev", "web/src") for path in (ROOT / folder).rglob("*.[pt][ys]*")]
    code = "\n".join(path.read_text() for path in sources if path.suffix in (".py", ".ts", ".tsx"))
    arrows = re.findall(r"^    → (.+)$", guide, re.MULTILINE)
    assert len(arrows) > 20
    for arrow in arrows:
        route = re.match(r"(?:GET|POST) /(?:v1|api)(/\S+?),?(?: |$)", arrow)
        names = (
            [route[1].removeprefix("/jobs/{id}")] if route else re.findall(r"\b[A-Z_]\w+|\.(\w+)\b", arrow)
        )
        assert all(name in code for name in names), arrow


def test_the_readme_begins_with_an_animation() -> None:
    first = re.search(r"!\[[^]]+\]\(([^)]+)\)", README)
    assert first
    picture = (ROOT / first[1]).read_bytes()
    assert len(picture) <= 400_000
    parts = [name for name, _ in chunks(picture)]
    assert parts[:2] == [b"VP8X", b"ANIM"]
    assert parts.count(b"ANMF") >= 6


def test_pictures_are_used_and_few() -> None:
    docs = ROOT / "docs"
    pages = {ROOT: [README], docs: [page.read_text() for page in docs.glob("*.md")]}
    shown = {
        folder / name
        for folder, texts in pages.items()
        for text in texts
        for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    }
    files = {path for path in docs.rglob("*") if path.is_file() and path.suffix != ".md"}
    committed = files - set((docs / "cluster").iterdir())  # they are held to test_cluster_files.py
    committed -= {docs / "llms.txt"}  # generated
    assert shown == committed
    assert len(shown) <= 27


BY_NAME = re.compile(
    r"arkor-dev(\[|@)"  # also what --from and --with take
    r"|\b(pip|uv add|uvx|uv tool|pipx)( (install|run|upgrade))?( -\S+)* '?arkor-dev\b"
)
"""A command that lets an index say what this package is: anybody may have its name there."""
OWNED = ("uv tool upgrade arkor-dev", "pipx upgrade arkor-dev")
"""These look where the package came from."""


def test_no_text_installs_this_package_by_its_name() -> None:
    for bad in (
        "pip install arkor-dev", "pip install 'arkor-dev[x]'", "uvx arkor-dev", "uv pip install -U arkor-dev",
        "pipx install arkor-dev", "uv tool install arkor-dev", "uvx --from arkor-dev@latest arkor-dev",
    ):  # fmt: skip
        assert BY_NAME.search(bad), bad
    folders = ("arkor_dev", "docs", "examples", "man", "scripts", "web/src")
    texts = [*ROOT.glob("*.md"), *(path for name in folders for path in (ROOT / name).rglob("*"))]
    kinds = {".md", ".py", ".ts", ".tsx", ".txt", ".toml", ".1", ".yaml", ""}
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in texts
        if path.suffix in kinds and path.is_file() and "static" not in path.parts and "site" not in path.parts
        for match in BY_NAME.finditer(path.read_text(encoding="utf-8"))
        if match[0] not in OWNED
    ]
    assert found == []
