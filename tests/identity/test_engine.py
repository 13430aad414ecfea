"""The engine's environment: what it needs, and that the backend runs there with this package's code."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from typing import TYPE_CHECKING

import arkor_dev
from arkor_dev.contract.extras_table import REQUIREMENTS
from arkor_dev.identity import engine

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from arkor_dev.core.settings import Settings


def test_the_backend_runs_in_the_engine_environment(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "is_complete", lambda: False)
    missing = engine.missing_extra(settings)
    assert missing is not None
    assert "arkor-dev setup" in missing
    assert engine.command(settings)[0][0] == sys.executable
    venv.create(engine.engine_folder(settings), symlinks=True)
    assert engine.missing_extra(settings) is None
    for _ in range(2):
        argv, environment = engine.command(settings)
    assert argv == [str(engine.engine_folder(settings) / "bin" / "python"), "-m", "arkor_dev.local"]
    (tmp_path / "random.py").write_text("raise SystemExit('the project is on the path')")
    program = "import arkor_dev, random, sys; print(arkor_dev.__version__, sys.prefix)"
    done = subprocess.run(
        [argv[0], "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [arkor_dev.__version__, str(engine.engine_folder(settings))]
    other = subprocess.run([argv[0], "-c", "import aiohttp"], env=environment, cwd=tmp_path, check=False)
    assert other.returncode == 1  # nothing of this environment comes along


def test_changed_requirements_need_a_new_environment(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = engine.engine_folder(settings)
    assert {"torch", "aiohttp"} <= {re.split(r"[<>=]", each)[0] for each in engine.needs()}
    monkeypatch.setitem(REQUIREMENTS, "local", ("torch>=9",))
    assert "torch>=9" in engine.needs()
    assert engine.engine_folder(settings) != before
