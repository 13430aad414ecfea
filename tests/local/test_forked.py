"""What forked workers make is what true ones make, and they end as those do."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

import pytest

from .conftest import CONFIG, STEPS, Trained, make_project
from .forked import Forked, Template
from .forking_backend import LIBRARIES
from .harness import FORKS, Backend, Frame, until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(sys.platform != "linux", reason="they are forked on Linux alone"),
]
WEIGHTS = "final/adapter_model.safetensors"
ENDING = "tests.local.ending"


def losses(events: list[Frame]) -> list[float]:
    """The loss of each step."""
    return [frame.json["loss"] for frame in events if "loss" in frame.json]


@pytest.mark.ci
def test_a_forked_worker_makes_the_same_bits(
    trained: Trained, template: dict[str, str], tiny: Path, tmp_path: Path
) -> None:
    assert FORKS in template
    assert FORKS not in os.environ
    backend = Backend.start(tmp_path / "data", make_project(tmp_path / "tests", tiny), tmp_path / "cache")
    try:
        job = backend.submit(CONFIG, "parrot")
        said = losses(list(backend.events(job)))
    finally:
        backend.stop()
    assert backend.errors == []
    true = (tmp_path / "data" / "jobs" / job / WEIGHTS).read_bytes()
    assert true == (trained.data / "jobs" / trained.job / WEIGHTS).read_bytes()
    assert len(said) == STEPS
    assert said == losses(trained.events)


@pytest.fixture(scope="module")
def bare() -> Iterator[Template]:
    """A template without libraries."""
    template = Template((), os.environ)
    yield template
    template.end()


@pytest.mark.parametrize("how", ["well", "a number", "a word", "an error", "a signal"])
def test_a_forked_program_ends_like_a_started_one(bare: Template, how: str) -> None:
    """What it says, its status, and the last line of its errors are those of the same program, started."""
    argv, env = [sys.executable, "-m", ENDING], {**os.environ, "END": how}
    true = subprocess.run(
        argv, input=b"told", capture_output=True, env=env, start_new_session=True, check=False
    )
    with TemporaryFile() as errors:
        child = Forked(bare.name, ENDING, env, errors.fileno())
        with child.stdout, child.stdin:
            child.stdin.write(b"told")
            child.stdin.close()
            assert child.stdout.read() == true.stdout
        assert child.wait() == true.returncode
        errors.seek(0)
        assert errors.read().splitlines()[-1:] == true.stderr.splitlines()[-1:]


def test_a_forked_program_looks_like_a_started_one(bare: Template) -> None:
    """Whoever looks for processes by their command lines and environments finds it."""
    argv, env = [sys.executable, "-m", ENDING], {**os.environ, "END": "well", "MARK": "x" * 4000}
    with TemporaryFile() as errors:
        child = Forked(bare.name, ENDING, env, errors.fileno())
        with child.stdout, child.stdin:

            def told(name: str) -> list[str]:
                return Path(f"/proc/{child.pid}/{name}").read_text().rstrip("\0").split("\0")

            words = [f"{name}={value}" for name, value in env.items()]
            until(lambda: (told("cmdline"), told("environ")) == (argv, words))
            child.stdin.write(b"told")
            child.stdin.close()
            assert child.stdout.read()
        assert child.wait() == 0


def test_the_preloaded_libraries_exist() -> None:
    """A template goes on without a library that it does not find, and each worker would load it anew."""
    assert [name for name in LIBRARIES if importlib.util.find_spec(name) is None] == []
