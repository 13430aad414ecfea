"""A model hub's id, against a hub of the test's own on loopback: fetched once, then never asked again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.conftest import CONFIG, make_project
from tests.local.harness import Backend
from tests.local.tiny_model import PHRASE
from tests.support.http_server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("forked_workers")]

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Hub(BaseHTTPRequestHandler):
    """As much of the hub's API as a download needs, serving one folder as ``org/tiny``."""

    folder: Path
    asked: list[str]
    commit: str
    header_commit: str
    tag: str | None
    surplus: int  # bytes that each file has more than the listing says
    names: list[str]  # names of the listing besides the folder's files

    def _json(self, value: Any, status: int = 200, **headers: str) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, header in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **headers,
        }.items():
            self.send_header(name.replace("_", "-"), header)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.asked.append(path)
        files = sorted(self.folder.iterdir())
        if path == "/api/models":
            self._json([])
        elif path in {"/api/models/org/tiny", "/api/models/org/tiny/revision/main"}:
            siblings = [{"rfilename": file.name, "size": file.stat().st_size} for file in files]
            siblings += [{"rfilename": name, "size": 1} for name in self.names]
            self._json({"id": "org/tiny", "modelId": "org/tiny", "sha": self.commit, "siblings": siblings})
        elif path.startswith("/api/models/org/tiny/tree/"):
            self._json(
                [{"type": "file", "oid": "0", "size": f.stat().st_size, "path": f.name} for f in files]
            )
        elif path.startswith("/org/tiny/resolve/"):
            content = (self.folder / path.rpartition("/")[2]).read_bytes()
            content += b" " * self.surplus
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{self.tag or hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", self.header_commit)
            self.end_headers()
            if self.command == "GET":
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(content)
        else:
            self._json({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")

    def do_HEAD(self) -> None:
        self.do_GET()


@pytest.fixture
def hub(tiny: Path, tmp_path: Path) -> Iterator[str]:
    _Hub.folder, _Hub.asked = tmp_path / "hub", []
    _Hub.commit = _Hub.header_commit = COMMIT
    _Hub.tag, _Hub.surplus, _Hub.names = None, 0, []
    shutil.copytree(tiny, _Hub.folder)
    (_Hub.folder / "README.md").write_text("---\nlicense: mit\nlanguage:\n- en\n---\n# Tiny\n")
    with serving(_Hub) as url:
        yield url


def test_a_hub_s_model_is_fetched_trained_and_kept(tmp_path: Path, hub: str) -> None:
    project = make_project(tmp_path / "tests")
    env = {"HF_ENDPOINT": hub, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    backend = Backend.start(tmp_path / "data", project, tmp_path / "cache", **env)
    try:
        missing = backend.submit({**CONFIG, "model": "org/none"})
        error = backend.wait_for(missing, "training.failed").json["error"]
        assert f"{hub} has no model org/none" in error

        job = backend.submit({**CONFIG, "model": "org/tiny"})
        frames = list(backend.events(job))
        assert frames[-2].event == "training.completed", frames[-2].data
        labels = {frame.json["label"] for frame in frames if frame.event == "model.progress"}
        assert {"Fetching org/tiny", "Loading org/tiny"} <= labels
        adapter = tmp_path / "data" / "jobs" / job / "final" / "adapter_config.json"
        assert json.loads(adapter.read_text())["base_model_name_or_path"] == "org/tiny"
        card = (adapter.parent / "README.md").read_text()
        assert 'base_model: "org/tiny"\n' in card
        assert 'license: "mit"\nlanguage:\n- "en"\n' in card
        _Hub.asked.clear()
        assert backend.say("Who?", adapter={"kind": "final", "jobId": job}) == PHRASE
        assert _Hub.asked == []
    finally:
        backend.stop()


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ({"commit": "../../../../escaped"}, "names a commit"),
        ({"header_commit": "../../../../escaped"}, "names a commit"),
        ({"header_commit": COMMIT.upper()}, "names a commit"),
        ({"tag": "../../../../escaped"}, "ETag"),
        ({"tag": ".."}, "ETag"),
        ({"tag": "/tmp/escaped"}, "ETag"),
        ({"names": ["../../../../escaped.json"]}, "lists a file"),
        ({"names": ["/tmp/escaped.json"]}, "lists a file"),
        ({"surplus": 5}, "was announced with|should be of size|do not use this hub"),
        ({"surplus": 64 * 2**20}, "than the .* bytes that it announced|was announced with"),
    ],
)
def test_a_hostile_mirror_gets_nothing_out_of_the_cache(
    tmp_path: Path, hub: str, lie: dict[str, Any], reason: str
) -> None:
    for name, value in lie.items():
        setattr(_Hub, name, value)
    project = make_project(tmp_path / "tests")
    env = {"HF_ENDPOINT": hub, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    backend = Backend.start(tmp_path / "data", project, tmp_path / "cache", **env)
    try:
        before = {
            path for path in tmp_path.rglob("*") if "cache" not in path.parts and "data" not in path.parts
        }
        job = backend.submit({**CONFIG, "model": "org/tiny"})
        error = backend.wait_for(job, "training.failed").json["error"]
        assert re.search(reason, error), error
        after = {
            path for path in tmp_path.rglob("*") if "cache" not in path.parts and "data" not in path.parts
        }
        assert after == before
        assert not list(tmp_path.rglob("*escaped*"))
        assert not Path("/tmp/escaped").exists()
        # Nothing of it is taken for a model the next time.
        again = backend.submit({**CONFIG, "model": "org/tiny"})
        assert backend.wait_for(again, "training.failed").json["error"]
    finally:
        backend.stop()
