"""The program that the other machine runs, with a home and tools of the test's own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.connection.ssh import far_side, package
from tests.support.processes import script

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the tests' other machine is this one")
UV = """
import os, pathlib, sys
log = pathlib.Path(os.environ["HOME"], "calls")
log.write_text((log.read_text() if log.exists() else "") + " ".join(sys.argv[1:]) + "\\n")
if sys.argv[1] == "venv":
    python = pathlib.Path(sys.argv[-1], "bin", "python")
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
elif pathlib.Path(os.environ["HOME"], "broken").exists():
    print("No space left on device")
    sys.exit(1)
"""


class Far:
    """One process of it, and requests to it."""

    def __init__(self, home: Path, before: str) -> None:
        home.mkdir(exist_ok=True)
        program = f"{before}\nimport runpy; runpy.run_path({far_side.__file__!r}, run_name='__main__')"
        self.root = home / ".arkor" / "remote"
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"HOME": str(home), "PATH": str(home / "bin")},
        )
        assert self.process.stdout is not None
        assert json.loads(self.process.stdout.readline()) == {"ready": True}

    def ask(self, do: str, body: bytes = b"", **fields: object) -> dict[str, Any]:
        """The last message of an answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, "host": "gpu-box", **fields}).encode() + b"\n" + body)
        self.process.stdin.flush()
        for line in self.process.stdout:
            message: dict[str, Any] = json.loads(line)
            if "step" not in message:
                return message
        raise AssertionError("it has ended")


@contextmanager
def far(home: Path, before: str = "") -> Iterator[Far]:
    """Run it, with ``before`` done in its process first."""
    found = Far(home, before)
    try:
        yield found
    finally:
        assert found.process.stdin is not None
        assert found.process.stdout is not None
        found.process.stdin.close()
        assert found.process.wait(20) == 0
        found.process.stdout.close()


def test_an_interrupted_installation_is_continued(tmp_path: Path) -> None:
    home = tmp_path / "home"
    script(home / "bin" / "uv", UV)
    (home / "broken").touch()
    wants: dict[str, Any] = {"env": "1.0-abc", "requirements": ["torch>=2", "peft"], "gpu": ["nvidia-ml-py"]}
    look: dict[str, Any] = {"code": "c", "env": "1.0-abc", "modules": ["json", "nowhere_to_be_found"]}
    with far(home) as there:
        found = there.ask("look", **look)["done"]
        assert (found["env"], found["code"], found["lacks"]) == (False, False, ["nowhere_to_be_found"])
        fault = there.ask("install", **wants)["fault"]
        assert "uv failed on gpu-box: No space left on device. Its disk is full." in fault
        assert "it continues from here" in fault
        assert not (there.root / "envs" / "1.0-abc").exists()
        (home / "broken").unlink()
        assert there.ask("install", **wants) == {"done": None}
        assert there.ask("look", **look)["done"]["env"]
        assert there.ask("install", **wants) == {"done": None}
    calls = (home / "calls").read_text().splitlines()
    assert [call.split()[0] for call in calls].count("venv") == 1, "the second try goes on with the first's"
    assert calls[-1].endswith("torch>=2 peft" + " nvidia-ml-py" * far_side._gpu())
    assert "--torch-backend=auto" in calls[-1]
    assert sorted(path.name for path in (home / ".arkor" / "remote").iterdir()) == ["envs"]


def test_without_uv_pip_gets_torch_from_the_index_for_processors(tmp_path: Path) -> None:
    home, index = tmp_path / "home", far_side.CPU_INDEX
    calls = f"""
import json, pathlib, sys
calls = pathlib.Path({str(tmp_path / "calls")!r})
if sys.argv[1:3] == ["-m", "venv"]:
    python = pathlib.Path(sys.argv[-1], "bin", "python")
    python.parent.mkdir(parents=True)
    python.symlink_to(__file__)
else:
    calls.write_text((calls.read_text() if calls.exists() else "") + json.dumps(sys.argv[1:]) + "\\n")
    sys.exit({index!r} in sys.argv)
"""
    stand_in = script(tmp_path / "python", calls)
    before = f"import os.path, sys; sys.executable = {str(stand_in)!r}; os.path.exists = lambda _: False"
    with far(home, before) as there:
        there.ask("look", code="c", env="e", modules=[])
        wants = ["aiohttp>=3", "torch<3,>=2.6", "torchvision"]
        assert there.ask("install", env="e", requirements=wants, gpu=["nvidia-ml-py"]) == {"done": None}
    first, second = map(json.loads, (tmp_path / "calls").read_text().splitlines())
    assert first[:3] == second[:3] == ["-m", "pip", "install"]
    assert first[-3:] == ["--index-url", index, "torch<3,>=2.6"]
    assert second[-3:] == wants, "an index that can't be reached is no reason to fail"


def test_an_installation_without_disk_space_is_refused(tmp_path: Path) -> None:
    full = "import shutil; from types import SimpleNamespace as S; shutil.disk_usage = lambda _: S(free=10)"
    with far(tmp_path / "home", full) as there:
        there.ask("look", code="c", env=None, modules=[])
        fault = there.ask("install", env="e", requirements=[], gpu=[])["fault"]
        assert "gpu-box has no space left: 0.0 GB are free in" in fault
        assert "Free some there, then start again" in fault
        fault = there.ask("files", key="k", name="n", files=[["a", 10**9, "0"]])["fault"]
        assert "1.0 GB are needed" in fault


def test_uploads_are_verified_and_atomic(tmp_path: Path) -> None:
    place = {"key": "k", "name": "n"}
    good = hashlib.sha256(b"rows").hexdigest()
    with far(tmp_path / "home") as there:
        offered: dict[str, Any] = {**place, "files": [["data/a.jsonl", 4, good]]}
        assert there.ask("files", **offered) == {"done": {"missing": ["data/a.jsonl"]}}
        file: dict[str, Any] = {**place, "path": "data/a.jsonl", "size": 4, "sha256": good}
        assert "changed while it was sent" in there.ask("put", b"ROWS", **file)["fault"]
        target = there.root / "projects" / "k" / "n" / "data" / "a.jsonl"
        assert not target.exists()
        assert there.ask("put", b"rows", **file) == {"done": None}
        assert target.read_bytes() == b"rows"
        assert target.stat().st_mode & 0o077 == 0
        assert there.ask("files", **offered) == {"done": {"missing": []}}
        target.write_bytes(b"rewritten there")
        assert there.ask("files", **offered) == {"done": {"missing": ["data/a.jsonl"]}}


def test_the_package_is_uploaded_and_verified(tmp_path: Path) -> None:
    archive, digest = package.packed(), package.digest()
    assert digest == package.digest()
    sent = {"code": digest, "size": len(archive), "sha256": hashlib.sha256(archive).hexdigest()}
    with far(tmp_path / "home") as there:
        there.ask("look", code=digest, env=None, modules=[])
        assert "arrived damaged" in there.ask("code", bytes(len(archive)), **sent)["fault"]
        assert there.ask("code", archive, **sent) == {"done": None}
        (only,) = (there.root / "code").iterdir()
        assert (only / "arkor_dev" / "local" / "evaluation" / "general.jsonl").is_file()
        assert not (only / "arkor_dev" / "static").exists()
        (there.root / "code" / "recent").mkdir()
        os.utime(only, (0, 0))
        newer = {**sent, "code": "newer"}
        assert there.ask("code", archive, **newer) == {"done": None}
        assert sorted(path.name for path in (there.root / "code").iterdir()) == ["newer", "recent"]


def name_of(requirement: str) -> str:
    """The package that it means."""
    return re.split(r"[^\w.-]", requirement)[0]


def test_the_remote_environment_has_the_needed_extras_only() -> None:
    needs, gpu = package.requirements()
    names = {name_of(each) for each in needs}
    assert {"aiohttp", "torch", "transformers", "peft", "pyarrow", "datasets"} <= names
    assert {"ray", "mlflow", "pytest"} & names == set()
    assert [name_of(each) for each in gpu] == ["nvidia-ml-py", "bitsandbytes"]
    assert package.environment(needs) == package.environment([*reversed(needs)]) != package.environment(gpu)
