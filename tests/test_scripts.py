"""The shell scripts: free of what shellcheck finds, and the quick tests are what they say."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.local.conftest import made_once

ROOT = Path(__file__).parent.parent
SHELL = [
    path for path in sorted((ROOT / "scripts").iterdir())
    if path.is_file() and path.read_bytes().startswith((b"#!/usr/bin/env bash", b"# Sourced by"))
]  # fmt: skip


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_finds_nothing() -> None:
    assert len(SHELL) > 4
    found = subprocess.run(
        ["shellcheck", "--shell=bash", "--external-sources", *map(str, SHELL)],  # noqa: S607 - found above
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert found.stdout == ""


def test_quick_tests_are_units_a_training_and_three_pages() -> None:
    script = (ROOT / "scripts" / "test").read_text()
    listed = [re.search(rf"^    {name}=\((.*)\)$", script, re.MULTILINE) for name in ("units", "true_ones")]
    names = " ".join(each[1] for each in listed if each)
    named = subprocess.run(
        [shutil.which("bash") or "bash", "-c", f"printf '%s\\n' {names}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []
    marked = [
        name for name in named if name.endswith(".py") and "@pytest.mark.quick" in (ROOT / name).read_text()
    ]
    assert len([name for name in marked if name.startswith("tests/browser/")]) == 3
    assert len([name for name in marked if name.startswith("tests/local/")]) == 1


def test_the_quick_tests_take_no_arguments() -> None:
    done = subprocess.run(
        [ROOT / "scripts" / "test", "--quick", "tests/jobs"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--quick takes no arguments" in done.stderr


@pytest.mark.ci
@pytest.mark.engine
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore")
def test_each_gpu_check_runs_on_an_emulated_gpu(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """But for those that start programs or measure time, and four_bit, which needs bitsandbytes.

    In this process, which has loaded what takes a program of its own a third of the time.
    """
    pytest.importorskip("torch")
    parts = ("packing", "merge", "chat", "memory")
    tiny = str(made_once(tmp_path_factory))
    monkeypatch.setattr("arkor_dev.local.exports.export.ROWS", 4)  # texts of each kind: this device is slow
    for name in ("CUBLAS_WORKSPACE_CONFIG", "ARKOR_LEAST_FREE_BYTES", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # what it sets goes with the test
        monkeypatch.delenv(name)
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.setattr(sys, "prefix", str(ROOT / ".venv"))  # it would go on in that Python
    monkeypatch.setattr(sys, "argv", ["gpu-check", "--emulated", "--model", tiny, *parts])
    assert runpy.run_path(str(ROOT / "scripts" / "gpu-check"))["main"]() == 0
    said = capsys.readouterr().out
    assert {line.partition(":")[0] for line in said.splitlines()} >= set(parts), said
    assert not re.search(r"^\w+: \w*Error", said, re.MULTILINE), said
    assert "memory: OutOfMemory: " in said


def test_the_notebook_test_pins_its_versions() -> None:
    pins = (ROOT / "scripts" / "notebooks.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.+]+", pin) for pin in pins)
    assert {"jupyterlab", "marimo", "anywidget", "playwright"} <= {pin.partition("==")[0] for pin in pins}
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "test-notebooks", "vscode"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "vscode is not one of jupyterlab, marimo" in done.stderr
