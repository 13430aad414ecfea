"""llama.cpp's converters: out of the one archive that they are said to be in, and nothing else of it."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.regular_files import sha256_of
from arkor_dev.local.gguf import converters as module
from arkor_dev.local.gguf.converters import converters, unpack
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from pathlib import Path

TOP = "llama_cpp_python-0/vendor/llama.cpp/"
FILES = {
    "convert_hf_to_gguf.py": b"import conversion",
    "convert_lora_to_gguf.py": b"",
    "LICENSE": b"MIT",
    "conversion/base.py": b"pass",
    "gguf-py/gguf/constants.py": b"pass",
    "src/llama.cpp": b"int main;",
}


def archive(path: Path, files: dict[str, bytes], *more: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as target:
        for name, content in files.items():
            member = tarfile.TarInfo(TOP + name)
            member.size = len(content)
            target.addfile(member, io.BytesIO(content))
        for member in more:
            target.addfile(member)
    return path


def nothing(*_: Any) -> None:
    """Hears how far it has come."""


def test_only_the_converters_are_unpacked(tmp_path: Path) -> None:
    unpack(archive(tmp_path / "a.tar.gz", FILES), tmp_path / "out", TOP)
    found = {
        path.relative_to(tmp_path / "out").as_posix()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert found == FILES.keys() - {"src/llama.cpp"}


def test_links_in_the_archive_are_refused(tmp_path: Path) -> None:
    link = tarfile.TarInfo(TOP + "conversion/link.py")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    unpack(archive(tmp_path / "a.tar.gz", FILES, link), tmp_path / "out", TOP)
    assert not (tmp_path / "out" / "conversion" / "link.py").exists()
    with pytest.raises(JobFailure, match="is not as expected"):
        unpack(
            archive(tmp_path / "b.tar.gz", {"conversion/../../../x.py": b"", **FILES}),
            tmp_path / "b" / "c",
            TOP,
        )
    assert not (tmp_path / "x.py").exists()


def test_an_archive_without_converters_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JobFailure, match="has no converters"):
        unpack(archive(tmp_path / "a.tar.gz", {"README": b""}), tmp_path / "out", TOP)


def test_an_archive_with_another_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in the cache half fetched is fetched again; a wrong one of the index is refused."""
    wheels = tmp_path / "index"
    wheels.mkdir()
    archive(wheels / "llama_cpp_python-0.3.36.tar.gz", FILES)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    work = tmp_path / "cache" / f".llama.cpp-{module.VERSION}.work"
    work.mkdir(parents=True)
    (work / "source.tar.gz").write_bytes(b"half of it")
    with pytest.raises(JobFailure, match="SHA-256 differs"):
        converters(tmp_path / "cache", nothing)
    assert not (tmp_path / "cache" / f"llama.cpp-{module.VERSION}").exists()


def test_a_complete_archive_is_not_downloaded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / f".llama.cpp-{module.VERSION}.work"
    work.mkdir()
    path = archive(work / "source.tar.gz", FILES)
    monkeypatch.setattr(module, "SHA256", sha256_of(path))
    monkeypatch.setattr(module, "TOP", TOP)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    folder = converters(tmp_path, nothing)
    assert (folder / "conversion" / "base.py").is_file()
    assert not work.exists()
    assert converters(tmp_path, nothing) == folder
