"""Which PyTorch: the advice, and a CUDA build told from others by its files alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from arkor_dev.contract import gpus
from arkor_dev.contract.extras import install_command
from arkor_dev.core import torch_build
from arkor_dev.core.torch_build import install_advice, oversized_build

ROOT = Path(__file__).parents[2]
VERSION = """\
from typing import Optional
__all__ = ['__version__', 'debug', 'cuda', 'git_version']
__version__ = '2.15.0'
cuda: Optional[str] = {cuda}
"""
RECORDS = {
    "torch-2.15.0": "torch/libtorch.so,sha256=x,1500000000\ntorch-2.15.0.dist-info/RECORD,,\n",
    "nvidia_cublas-13.4": "nvidia/libcublas.so,sha256=x,700000000\n",
    "unrelated-1.0": "unrelated.py,sha256=x,900000000\n",
}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that holds nothing but a torch, of which only the files are there."""
    for name, record in RECORDS.items():
        folder = tmp_path / f"{name}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Name: {name.partition('-')[0].replace('_', '-')}\nVersion: 1\n")
        (folder / "RECORD").write_text(record)
    for file in ("torch/libtorch.so", "nvidia/libcublas.so"):
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).touch()
    (tmp_path / "unrelated.py").touch()
    (tmp_path / "torch" / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(torch_build, "DRIVERS", (str(tmp_path / "no-driver"),))
    return tmp_path


@pytest.mark.parametrize(
    ("cuda", "hip", "kind"), [("'13.2'", "None", "cuda"), ("None", "None", "cpu"), ("None", "'7.1'", "rocm")]
)
def test_the_torch_build_is_read_from_its_version_file(
    installed: Path, cuda: str, hip: str, kind: str
) -> None:
    text = VERSION.format(cuda=cuda) + f"hip: Optional[str] = {hip}\n"
    (installed / "torch" / "version.py").write_text(text)
    assert gpus.torch_build() == kind
    assert (oversized_build() is not None) is (kind == "cuda")


def test_a_cuda_build_without_a_gpu_gets_advice(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (installed / "torch" / "version.py").write_text(VERSION.format(cuda="'13.2'"))
    found = oversized_build()
    assert found
    assert "(2.2 GB), and no NVIDIA GPU was found" in found[0]
    assert f"uv pip install --torch-backend=auto '{ROOT}[local]'".replace("'", "") in found[1].replace(
        "'", ""
    )
    monkeypatch.setattr(torch_build, "DRIVERS", (str(installed),))
    assert oversized_build() is None


def test_a_new_environment_gets_it_from_where_it_came(installed: Path) -> None:
    (installed / "torch" / "version.py").write_text(VERSION.format(cuda="'13.2'"))
    folder = installed / "arkor_dev-0.1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Name: arkor-dev\nVersion: 0.1.0\n")
    (folder / "direct_url.json").write_text('{"dir_info": {}, "url": "file:///home/a%20b/studio"}')
    found = oversized_build()
    assert found
    assert found[1].endswith("uv pip install --torch-backend=auto '/home/a b/studio[local]'")


def test_missing_torch_has_no_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert gpus.torch_build() is None


def test_the_advice_names_the_extra_and_both_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert "5.9 GB" in install_advice()
    assert "1.1 GB" in install_advice()
    assert "--torch-backend=auto" in install_advice()
    monkeypatch.setattr(sys, "platform", "darwin")
    own = install_command("local")
    assert install_advice() == f"Run `arkor-dev setup`, or install them: {own}"


def test_the_readme_gives_the_same_figures_and_command() -> None:
    readme = (ROOT / "README.md").read_text()
    for text in ("5.9 GB", "1.1 GB", "--torch-backend=auto"):
        assert text in readme
