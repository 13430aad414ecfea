"""What gets installed: the page is in both archives, and the core asks for five packages."""

from __future__ import annotations

import email
import json
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

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
@pytest.mark.ci
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
    assert metadata["Author"] == "The maintainers of Arkor Studio"
    assert metadata.get_all("Project-URL")
    (bundled,) = (name for name in names if name.endswith("/licenses/THIRD-PARTY.txt"))
    assert bundled
    assert any(name.endswith("/share/man/man1/arkor-dev.1") for name in names)


def test_licenses_of_page_libraries_are_packaged() -> None:
    known = (ROOT / "THIRD-PARTY.txt").read_text()
    libraries = json.loads((ROOT / "web" / "package.json").read_text())["dependencies"]
    assert [name for name in libraries if f"\n{name} (" not in known] == []


@pytest.mark.slow
@pytest.mark.ci
def test_sdist_contains_everything_for_build_and_tests(archives: tuple[Path, Path]) -> None:
    with tarfile.open(archives[1]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    wanted = {
        "arkor_dev/static/index.html", "web/package-lock.json", "scripts/test", "tests/test_packaging.py",
        "examples/support-bot/arkor.toml", "LICENSE", "README.md", "constraints.txt",
    }  # fmt: skip
    assert wanted <= names
    assert not any("node_modules" in name for name in names)


def release() -> dict[str, Any]:
    """The names of scripts/release."""
    return runpy.run_path(str(ROOT / "scripts" / "release"))


def test_the_bill_of_materials_names_what_the_page_bundles_and_what_pip_installs() -> None:
    text = release()["sbom"](ROOT, "1.2.3", "ab" * 32, 1_700_000_000)
    assert text == release()["sbom"](ROOT, "1.2.3", "ab" * 32, 1_700_000_000), "the same bytes each time"
    bill = json.loads(text)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert bill["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    subject = bill["metadata"]["component"]
    assert subject["purl"] == "pkg:pypi/arkor-dev@1.2.3"
    assert subject["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    parts = {
        part["purl"].partition("@")[0] if "%40" not in part["purl"] else part["name"]: part
        for part in bill["components"]
    }
    page = json.loads((ROOT / "web" / "package.json").read_text())
    for name, version in page["dependencies"].items():
        part = next(part for part in bill["components"] if part["name"] == name)
        assert (part["version"], part["scope"]) == (version, "required")
    required = {
        part["name"] for part in bill["components"] if "pypi" in part["purl"] and part["scope"] == "required"
    }
    assert required == CORE
    torch = parts["pkg:pypi/torch"]
    assert (torch["scope"], "version" in torch) == ("optional", False), "its build differs by machine"
    assert {"name": "arkor:accepted", "value": ">=2.6,<3"} in torch["properties"]
    assert not {"pytest", "vite", "typescript", "mypy"} & {part["name"] for part in bill["components"]}
    refs = [part["bom-ref"] for part in bill["components"]]
    assert len(refs) == len(set(refs))
    assert bill["dependencies"][0] == {"ref": subject["bom-ref"], "dependsOn": sorted(refs)}


def test_a_release_of_a_known_repository_has_its_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_REPOSITORY", "GITHUB_SERVER_URL", "ARKOR_REPOSITORY"):
        monkeypatch.delenv(name, raising=False)
    names = release()
    monkeypatch.setenv("ARKOR_REPOSITORY", "https://git.example/o/r.git\n")
    assert names["repository"]() == "https://git.example/o/r"
    for bad in ("git@git.example:o/r", "https://user:token@git.example/o/r", 'https://a.example/"]\nx'):
        monkeypatch.setenv("ARKOR_REPOSITORY", bad)
        assert names["repository"]() is None
    monkeypatch.setenv("GITHUB_REPOSITORY", "o/r")
    assert names["repository"]() == "https://github.com/o/r"
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    names["name_repository"](tmp_path, "https://git.example/o/r")
    urls = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]["urls"]
    assert urls["Repository"] == "https://git.example/o/r"
    assert urls["Changelog"] == "https://git.example/o/r/blob/main/CHANGES.md"
    readme = (tmp_path / "README.md").read_text()
    assert "](https://git.example/o/r/raw/main/docs/screenshots/run.webp)" in readme
    assert "[Start](https://git.example/o/r/blob/main/docs/start.md)" in readme
    assert re.findall(r"\]\((?!https?:|#)[^)]+\)", readme) == []
