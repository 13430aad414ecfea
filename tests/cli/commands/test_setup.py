"""`arkor-dev setup` with true pip and an index of the test's own: says, installs, continues, removes."""

from __future__ import annotations

import functools
import json
import sys
import threading
import venv
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.cli.commands import setup
from arkor_dev.contract.errors import BadRequestError, ConflictError
from arkor_dev.core import installer
from arkor_dev.identity import engine
from tests.support.processes import script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.core.settings import Settings

pip = pytest.importorskip("pip")
pytestmark = pytest.mark.slow


class Index:
    """A package index with small wheels."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in engine.REQUIRED:
            self.add(name)

    def add(self, name: str) -> None:
        (self._folder / name).mkdir()
        wheel = f"{name}-9.0-py3-none-any.whl"
        with zipfile.ZipFile(self._folder / name / wheel, "w") as file:
            file.writestr(f"{name}.py", "")
            file.writestr(
                f"{name}-9.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 9.0\n"
            )
            file.writestr(f"{name}-9.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            file.writestr(f"{name}-9.0.dist-info/RECORD", "")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    folder = tmp_path / "index"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tools, modules = tmp_path / "tools", tmp_path / "modules"
    tools.mkdir()
    modules.mkdir()
    script(tools / "uv", "raise SystemExit('cannot reach the index')")
    (modules / "pip").symlink_to(Path(pip.__file__).parent)  # environments without it are made at once
    for name, value in (
        ("PYTHONPATH", str(modules)),
        ("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/"), ("PIP_CONFIG_FILE", "/dev/null"),
        ("PIP_NO_CACHE_DIR", "1"), ("PATH", f"{tools}:/usr/bin:/bin"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setattr(setup, "is_complete", lambda: False)
    monkeypatch.setattr(engine, "is_complete", lambda: False)
    monkeypatch.setattr(installer, "PAUSE", 0.1)
    yield Index(folder)
    server.shutdown()
    server.server_close()


def test_setup_asks_installs_resumes_and_removes(
    index: Index, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "needs", lambda: ["torch>=2", "transformers", "peft", "late"])
    with pytest.raises(BadRequestError, match="add --yes"):
        setup.run_setup(settings, yes=False, dry_run=False, remove=False)
    assert not (settings.data / engine.FOLDER).exists()
    target = engine.engine_folder(settings)
    venv.create(target.with_name(f"{target.name}.part"), symlinks=True)  # interrupted
    assert setup.run_setup(settings, yes=True, dry_run=False, remove=False) == 1
    said, faults = capsys.readouterr()
    assert "PyTorch 9.0, the build for the processor: about 0.2 GB to fetch, 1.1 GB on the disk." in said
    assert str(target) in said
    assert "No matching distribution found for late" in faults
    assert "Run `arkor-dev setup` again to continue." in faults
    assert engine.missing_extra(settings)

    index.add("late")
    assert setup.run_setup(settings, yes=True, dry_run=False, remove=False, as_json=True) == 0
    looking, plan, *between, installed = map(json.loads, capsys.readouterr().out.splitlines())
    assert looking == {"step": "looking"}
    assert (plan["step"], plan["pytorch"], plan["fetch"], plan["disk"]) == (
        "plan",
        "9.0",
        200_000_000,
        1_100_000_000,
    )
    assert {each["step"] for each in between} <= {"progress"}
    assert (installed["step"], installed["folder"]) == ("installed", str(target))
    assert engine.missing_extra(settings) is None
    assert setup.run_setup(settings, yes=False, dry_run=False, remove=False) == 0
    assert "is installed" in (said := capsys.readouterr().out)
    assert "Next: arkor-dev --local --open" in said
    with setup._alone(settings.data / engine.FOLDER), pytest.raises(ConflictError, match="Another"):
        setup.run_setup(settings, yes=True, dry_run=False, remove=True)
    assert setup.run_setup(settings, yes=True, dry_run=False, remove=True) == 0
    assert not (settings.data / engine.FOLDER).exists()


def test_setup_checks_disk_and_existing_packages_first(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "is_complete", lambda: True)
    assert setup.run_setup(settings, yes=False, dry_run=False, remove=False) == 0
    assert sys.prefix in capsys.readouterr().out

    class Found:
        def resolve_torch(self, _: Path) -> installer.Build:
            return installer.Build("9.0+cu130", "cuda")

    monkeypatch.setattr(setup, "is_complete", lambda: False)
    monkeypatch.setattr(setup, "_installer", lambda _: Found())
    assert setup.run_setup(settings, yes=False, dry_run=True, remove=False) == 0
    assert "about 3.1 GB to fetch, 5.9 GB on the disk" in capsys.readouterr().out
    assert not (settings.data / engine.FOLDER).exists()
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 2e9}))
    with pytest.raises(BadRequestError, match=r"2\.0 GB are free in .*, and 6\.4 GB are needed"):
        setup.run_setup(settings, yes=True, dry_run=False, remove=False)
