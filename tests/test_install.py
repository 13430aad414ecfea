"""The installer: which PyTorch it takes, what it says beforehand, and that it shows that it lives."""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path

import pytest

from arkor_dev.core import installer
from arkor_dev.core.installer import Build, Installer, InstallProgress, TextDisplay
from tests.support.processes import script

ROOT = Path(__file__).parent.parent

sys.path.insert(0, str(ROOT / "scripts"))
import install  # noqa: E402

CUDA = ["filelock", 'nvidia-cudnn-cu13==9.26.0.51; platform_system == "Linux"']


@pytest.mark.parametrize(
    ("version", "requires", "system", "kind"),
    [
        ("2.13.0+cpu", [], "Linux", "cpu"),
        ("2.15.0+cu132", [], "Linux", "cuda"),
        ("2.15.0+rocm7.0", [], "Linux", "rocm"),
        ("2.15.0+xpu", [], "Linux", "xpu"),
        ("2.15.0", CUDA, "Linux", "cuda"),
        ("2.15.0", CUDA, "Darwin", "cpu"),
        ("2.15.0", ["filelock"], "Linux", "cpu"),
    ],
)
def test_torch_builds_are_recognized(version: str, requires: list[str], system: str, kind: str) -> None:
    assert installer.kind_of(version, requires, system) == kind


def test_the_installer_announces_the_download() -> None:
    cpu = install.announcement("local", Build("2.13.0+cpu", "cpu"), has_gpu=False)
    assert (
        "PyTorch 2.13.0+cpu, the build for the processor: about 0.2 GB to fetch, 1.1 GB on the disk." in cpu
    )
    assert "GPU" not in cpu
    cuda = install.announcement("local", Build("2.15.0", "cuda"), has_gpu=True)
    assert "about 3.1 GB to fetch, 5.9 GB on the disk" in cuda
    assert "No NVIDIA GPU" not in cuda
    without = install.announcement("local", Build("2.15.0", "cuda"), has_gpu=False)
    assert "No NVIDIA GPU was found" in without
    assert "(1.1 GB)" in without
    other = install.announcement("local", Build("2.15.0+rocm7.0", "rocm"), has_gpu=False)
    assert "GB" not in other  # nobody has measured it
    assert (
        install.announcement("dev", None, has_gpu=False) == "Installing Arkor Studio [dev] into .venv, once."
    )


def test_uv_chooses_the_torch_build(tmp_path: Path) -> None:
    uv = script(
        tmp_path / "uv",
        "import os, sys\n"
        "assert '--torch-backend=auto' in sys.argv and '--dry-run' in sys.argv, sys.argv\n"
        "assert os.environ['UV_HTTP_RETRIES'] == '0'\n"
        "print('Resolved 2 packages\\n + filelock==3\\n + torch==2.15.0+cu130', file=sys.stderr)",
    )
    assert Installer(sys.executable).build_by_uv(str(uv)) == Build("2.15.0+cu130", "cuda")
    script(uv, "raise SystemExit('error: Failed to fetch')")
    assert Installer(sys.executable).build_by_uv(str(uv)) is None


def test_elapsed_time_is_minutes_and_seconds() -> None:
    for seconds, shown in ((0.9, "0:00  0.00 GB fetched"), (125.2, "2:05  ")):
        assert installer.progress_line(InstallProgress(seconds, 0, 0, "looking")).startswith(shown)


def test_the_progress_of_uv_is_read_from_its_output() -> None:
    words = (
        "Resolved 4 packages in 314ms\nDownloading numpy (16.0MiB)\nDownloading torch (1.5GiB)\n"
        "Downloading sympy (512.0KiB)\n Downloaded sympy\n Downloaded numpy\n"
    )
    assert installer.activity_of(words) == "torch (1.5GiB)"
    assert installer.fetched_by_uv(words) == 16 * 2**20 + 2**19
    words += " Downloaded torch\nPrepared 4 packages in 1.14s\nInstalled 4 packages in 100ms\n"
    assert installer.activity_of(words) == "unpacking"
    assert installer.fetched_by_uv(words) == 3 * 2**29 + 16 * 2**20 + 2**19


FETCHED = "0.03 GB fetched, 0.00 GB unpacked  torch-2.whl (539.2 MB)"
UNPACKED = "0.03 GB fetched, 0.02 GB unpacked  unpacking"


def working(folder: Path, told: Path, code: int) -> list[str]:
    """A pip of the test's own: it fetches 30 MB, unpacks 20 MB, and says so as pip does.

    It waits with each until that is shown, for which there is a file in ``told``.
    """
    (folder / "lib").mkdir()
    pip = script(
        folder / "pip",
        "import os, sys, tempfile, time\n"
        "def shown(name):\n"
        "    end = time.monotonic() + 60\n"
        f"    while not os.path.exists(os.path.join({str(told)!r}, name)):\n"
        "        time.sleep(0.01)\n"
        "        assert time.monotonic() < end\n"
        "print('Collecting torch\\n  Downloading torch-2.whl (539.2 MB)', flush=True)\n"
        "with tempfile.NamedTemporaryFile() as file:\n"
        "    file.truncate(30_000_000); shown('fetched')\n"
        "    print('Installing collected packages: torch', flush=True)\n"
        f"    open({str(folder / 'lib' / 'torch.so')!r}, 'wb').truncate(20_000_000); shown('unpacked')\n"
        f"sys.exit({code})",
    )
    return [str(pip)]


class Shown(io.StringIO):
    """A text stream, a terminal or not. What is to be shown has a file in ``told`` once it is."""

    def __init__(self, told: Path, *, terminal: bool) -> None:
        super().__init__()
        self._told = told
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> int:
        for name, line in (("fetched", FETCHED), ("unpacked", UNPACKED)):
            if line in text:
                (self._told / name).touch()
        return super().write(text)


@pytest.mark.parametrize("terminal", [False, True], ids=["a log", "a terminal"])
def test_the_installer_shows_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    folder, told = tmp_path / "environment", tmp_path / "told"
    folder.mkdir()
    told.mkdir()
    out = Shown(told, terminal=terminal)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(installer, "PAUSE", 0.05)
    monkeypatch.setattr(installer, "PAUSE_LOG", 0.1)
    assert installer.run_shown(working(folder, told, 3), folder, TextDisplay(out)) == 3
    lines = [line.removeprefix("\x1b[K") for line in re.split(r"[\r\n]", out.getvalue())]
    for shown in (FETCHED, UNPACKED):
        assert any(re.fullmatch(rf"\d:\d\d  {re.escape(shown)}", line) for line in lines), lines
    assert lines[-1] == ""
    assert "Collecting torch" in (folder / "install.log").read_text()
    assert sorted(path.name for path in folder.iterdir()) == ["install.log", "lib", "pip"]


def test_plan_and_installation_share_one_lookup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, lookups = tmp_path / "cache" / "build.json", []

    def look(_: Installer, uv: str) -> Build:
        lookups.append(uv)
        return Build("2.15.0+cpu", "cpu")

    monkeypatch.setattr(Installer, "find_uv", lambda _: "uv")
    monkeypatch.setattr(Installer, "build_by_uv", look)
    plan, installation = Installer(sys.executable), Installer(sys.executable)
    assert plan.resolve_torch(cache) == installation.resolve_torch(cache) == Build("2.15.0+cpu", "cpu")
    assert lookups == ["uv"]
    assert installation._uv == "uv"
    for text in ("", "[1]", "null"):  # damaged
        cache.write_text(text)
        assert plan.resolve_torch(cache) == Build("2.15.0+cpu", "cpu")
    os.utime(cache, (0, 0))  # old
    plan.resolve_torch(cache)
    assert len(lookups) == 5
