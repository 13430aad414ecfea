"""scripts/install.py: which PyTorch it takes, what it says beforehand, and that it shows that it lives."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from tests.support.processes import script

ROOT = Path(__file__).parent.parent

sys.path.insert(0, str(ROOT / "scripts"))
import install  # noqa: E402

CUDA = ["filelock", 'nvidia-cudnn-cu13==9.26.0.51; platform_system == "Linux"']


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


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
def test_what_a_build_is_for(version: str, requires: list[str], system: str, kind: str) -> None:
    assert install.kind_of(version, requires, system) == kind


def test_it_says_beforehand_what_will_be_fetched() -> None:
    cpu = install.announcement("local", install.Build("2.13.0+cpu", "cpu"), has_gpu=False)
    assert (
        "PyTorch 2.13.0+cpu, the build for the processor: about 0.2 GB to fetch, 1.1 GB on the disk." in cpu
    )
    assert "GPU" not in cpu
    cuda = install.announcement("local", install.Build("2.15.0", "cuda"), has_gpu=True)
    assert "about 3.1 GB to fetch, 5.9 GB on the disk" in cuda
    assert "No NVIDIA GPU" not in cuda
    without = install.announcement("local", install.Build("2.15.0", "cuda"), has_gpu=False)
    assert "No NVIDIA GPU was found" in without
    assert "(1.1 GB)" in without
    other = install.announcement("local", install.Build("2.15.0+rocm7.0", "rocm"), has_gpu=False)
    assert "GB" not in other  # nobody has measured it
    assert (
        install.announcement("dev", None, has_gpu=False) == "Installing Arkor Studio [dev] into .venv, once."
    )


def test_uv_is_believed_and_its_failure_is_no_build(tmp_path: Path) -> None:
    uv = script(
        tmp_path / "uv",
        "import os, sys\n"
        "assert '--torch-backend=auto' in sys.argv and '--dry-run' in sys.argv, sys.argv\n"
        "assert os.environ['UV_HTTP_RETRIES'] == '0'\n"
        "print('Resolved 2 packages\\n + filelock==3\\n + torch==2.15.0+cu130', file=sys.stderr)",
    )
    assert install.build_by_uv(str(uv)) == install.Build("2.15.0+cu130", "cuda")
    script(uv, "raise SystemExit('error: Failed to fetch')")
    assert install.build_by_uv(str(uv)) is None


def working(tmp_path: Path, code: int) -> list[str]:
    """A pip of the test's own: it fetches 30 MB, unpacks 20 MB, and says so as pip does."""
    folder = tmp_path / "lib"
    folder.mkdir()
    pip = script(
        tmp_path / "pip",
        "import sys, tempfile, time\n"
        "print('Collecting torch\\n  Downloading torch-2.whl (539.2 MB)', flush=True)\n"
        "with tempfile.NamedTemporaryFile() as file:\n"
        "    file.truncate(30_000_000); time.sleep(0.5)\n"
        f"    print('Installing collected packages: torch', flush=True)\n"
        f"    open({str(folder / 'torch.so')!r}, 'wb').truncate(20_000_000); time.sleep(0.5)\n"
        f"sys.exit({code})",
    )
    return [str(pip)]


@pytest.mark.parametrize("stream", [io.StringIO, Terminal], ids=["a log", "a terminal"])
def test_it_shows_that_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO]
) -> None:
    out = stream()
    monkeypatch.setattr(install, "PAUSE", 0.05)
    monkeypatch.setattr(install, "PAUSE_LOG", 0.1)
    assert install.run_shown(working(tmp_path, 3), tmp_path, out) == 3
    lines = [line.removeprefix("\x1b[K") for line in re.split(r"[\r\n]", out.getvalue())]
    assert "0:00  0.03 GB fetched, 0.00 GB unpacked  torch-2.whl (539.2 MB)" in lines
    assert any(line.endswith("0.03 GB fetched, 0.02 GB unpacked  unpacking") for line in lines)
    assert lines[-1] == ""
    assert "Collecting torch" in (tmp_path / "install.log").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["install.log", "lib", "pip"]
