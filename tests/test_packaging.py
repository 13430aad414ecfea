"""What gets installed: the page is in both archives, and the core asks for five packages."""

from __future__ import annotations

import email
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOT_SOURCE = (".git", ".venv", "node_modules", "__pycache__", ".*_cache", "*.egg-info", "build", "dist")
pytestmark = pytest.mark.timeout(600)  # a copy of the tree and a build, beside other tests
CORE = {"aiohttp", "aiohttp-sse", "yarl", "rich", "platformdirs"}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A wheel and an sdist, built from a copy so that no build folder is left in the tree."""
    work = tmp_path_factory.mktemp("packaging")
    source = work / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*NOT_SOURCE, "site"))  # as a clean clone
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(work / "dist"), str(source)],
        check=True,
        capture_output=True,
    )
    return next((work / "dist").glob("*.whl")), next((work / "dist").glob("*.tar.gz"))


@pytest.mark.slow
def test_wheel_holds_the_page_and_asks_for_five_packages(archives: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(archives[0]) as wheel:
        names = wheel.namelist()
        metadata = email.message_from_bytes(wheel.read(next(n for n in names if n.endswith("/METADATA"))))
    assert "arkor_dev/static/index.html" in names
    assert any(re.fullmatch(r"arkor_dev/static/assets/.*\.js", name) for name in names)
    assert any(name.startswith("arkor_dev/project/template/") for name in names)
    assert "arkor_dev/py.typed" in names
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert {f"arkor_dev/site/{name}" for name in (*pages, "llms.txt")} <= set(names), "what Help shows"
    assert not any(name.startswith("tests/") for name in names)
    required = [r for r in metadata.get_all("Requires-Dist") or [] if "extra ==" not in r]
    assert {re.split(r"[<>=!~ ;\[]", r)[0] for r in required} == CORE
    assert metadata["License-Expression"] == "Apache-2.0"
    (bundled,) = (name for name in names if name.endswith("/licenses/THIRD-PARTY.txt"))
    assert bundled
    assert any(name.endswith("/share/man/man1/arkor-dev.1") for name in names)


def test_every_library_of_the_page_has_its_license_in_the_package() -> None:
    known = (ROOT / "THIRD-PARTY.txt").read_text()
    libraries = json.loads((ROOT / "web" / "package.json").read_text())["dependencies"]
    assert [name for name in libraries if f"\n{name} (" not in known] == []


@pytest.mark.slow
def test_sdist_holds_all_that_a_build_and_the_tests_need(archives: tuple[Path, Path]) -> None:
    with tarfile.open(archives[1]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    wanted = {
        "arkor_dev/static/index.html", "web/package-lock.json", "scripts/test", "tests/test_packaging.py",
        "examples/support-bot/arkor.toml", "LICENSE", "README.md", "constraints.txt",
    }  # fmt: skip
    assert wanted <= names
    assert not any("node_modules" in name for name in names)
