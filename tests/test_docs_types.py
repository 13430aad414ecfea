"""The documentation's Python passes mypy --strict and pyright, and both report a misspelt setting."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MISSPELT = """
from arkor_dev import Studio

with Studio("my-bot", local=True) as studio:
    studio.train("support-bot", learning_rat=1e-3)
    studio.train("support-bot", lora={"rank": 16})
    studio.train("support-bot", epochs="two")
    studio.jobs(status="bogus")
"""
WRONG_LINES = [5, 6, 7, 8]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file for each example; those of other tools' scripts are not ours."""
    folder = tmp_path_factory.mktemp("examples")
    for page in sorted(ROOT.glob("docs/*.md")):
        if page.name.startswith("from-"):
            continue
        for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)):
            (folder / f"{page.stem}_{number}.py").write_text(block)
    assert len(list(folder.iterdir())) >= 6
    (folder / "misspelt.py").write_text(MISSPELT)
    return folder


@pytest.mark.ci
@pytest.mark.timeout(300)
def test_mypy_accepts_the_examples_and_reports_a_misspelt_setting(examples: Path) -> None:
    pytest.importorskip("mypy")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-pretty", str(examples)],  # strict, by setup.cfg
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    found = re.findall(r"(\w+\.py):(\d+): error", done.stdout)
    assert found == [("misspelt.py", str(line)) for line in WRONG_LINES], done.stdout + done.stderr


@pytest.mark.ci
@pytest.mark.timeout(300)
def test_pyright_accepts_the_examples_and_reports_a_misspelt_setting(examples: Path) -> None:
    pytest.importorskip("basedpyright")
    # What other libraries are is theirs to check, and reading their sources takes longer than all of ours.
    for name in ("torch", "transformers", "onnxruntime"):
        stub = examples / "stubs" / name / "__init__.pyi"
        stub.parent.mkdir(parents=True)
        stub.write_text("from typing import Any\n\ndef __getattr__(name: str) -> Any: ...\n")
    settings = {
        "typeCheckingMode": "standard",
        "include": ["*.py"],
        "stubPath": "stubs",
        "extraPaths": [str(ROOT)],
    }
    (examples / "pyrightconfig.json").write_text(json.dumps(settings))
    checker = shutil.which("basedpyright", path=str(Path(sys.executable).parent))
    assert checker is not None
    done = subprocess.run(
        [checker, "--outputjson", "--pythonpath", sys.executable, "--project", str(examples)],
        capture_output=True, text=True, check=False, cwd=examples,
    )  # fmt: skip
    found = [
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1)
        for each in json.loads(done.stdout)["generalDiagnostics"]
        if each["severity"] == "error"
    ]
    assert found == [("misspelt.py", line) for line in WRONG_LINES], done.stdout
