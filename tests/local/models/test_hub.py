"""A model hub's id, against a hub of the test's own on loopback: fetched once, then never asked again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tests.local.conftest import CONFIG, make_project
from tests.local.harness import Backend
from tests.local.tiny_model import PHRASE
from tests.support.http_server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("forked_workers")]

COMMIT = "0123456789abcdef0123456789abcdef01234567"


SPACES = b" " * 2**16


@dataclass
class Repository:
    """What the hub says of the files in ``folder``, and where it lies."""

    folder: Path
    commit: str = COMMIT
    header_commit: str = COMMIT
    tag: str | None = None
    surplus: int = 0
    """Bytes that each file has more than the listing says."""
    names: Sequence[str] = ()
    """Names of the listing besides the folder's files."""
    gated: bool = False
    """Whether its files need an accepted licence."""


class _Hub(BaseHTTPRequestHandler):
    """As much of the hub's API as a download needs; the repositories in ``served`` are ``org/NAME``."""

    served: ClassVar[dict[str, Repository]] = {}
    asked: ClassVar[list[str]] = []

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
        found = re.fullmatch(r"(/api/models)?/org/([a-z0-9]+)(/.*)?", path)
        repository = self.served.get(found[2]) if found else None
        if path == "/api/models":
            self._json([])
        elif repository is None or found is None:
            self._json({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
        elif found[1]:
            self._list(found[2], found[3] or "", repository)
        else:
            self._file((found[3] or "").rpartition("/")[2], repository)

    def _list(self, name: str, what: str, repository: Repository) -> None:
        files = sorted(repository.folder.iterdir())
        if what.startswith("/tree/"):
            self._json(
                [{"type": "file", "oid": "0", "size": f.stat().st_size, "path": f.name} for f in files]
            )
        elif what in {"", "/revision/main"}:
            siblings = [{"rfilename": file.name, "size": file.stat().st_size} for file in files]
            siblings += [{"rfilename": each, "size": 1} for each in repository.names]
            about = {"id": f"org/{name}", "modelId": f"org/{name}", "sha": repository.commit}
            self._json({**about, "siblings": siblings})
        else:
            self._json({"error": "Not found"}, 404)

    def _file(self, name: str, repository: Repository) -> None:
        if repository.gated:
            self._json({"error": "Access is restricted"}, 403, X_Error_Code="GatedRepo")
            return
        content = (repository.folder / name).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) + repository.surplus))
        self.send_header("ETag", f'"{repository.tag or hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", repository.header_commit)
        self.end_headers()
        if self.command == "GET":
            with contextlib.suppress(ConnectionError):
                self.wfile.write(content)
                for start in range(0, repository.surplus, len(SPACES)):
                    self.wfile.write(SPACES[: repository.surplus - start])

    def do_HEAD(self) -> None:
        self.do_GET()


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    with serving(_Hub) as url:
        yield url


def serve(tiny: Path, folder: Path, name: str, **lies: Any) -> None:
    """Have the hub serve the tiny model as ``org/NAME``."""
    shutil.copytree(tiny, folder)
    (folder / "README.md").write_text("---\nlicense: mit\nlanguage:\n- en\n---\n# Tiny\n")
    _Hub.served[name] = Repository(folder, **lies)


def start(root: Path, hub: str, **env: str) -> Backend:
    """A backend whose hub that is, in the folder ``root``."""
    env = {**env, "HF_ENDPOINT": hub, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    return Backend.start(root / "data", make_project(root / "tests"), root / "cache", **env)


def test_a_hub_model_is_downloaded_and_trained(tiny: Path, tmp_path: Path, hub: str) -> None:
    serve(tiny, tmp_path / "hub", "tiny")
    backend = start(tmp_path, hub)
    try:
        missing = backend.submit({**CONFIG, "model": "org/none"})
        error = backend.wait_for(missing, "training.failed").json["error"]
        assert f"{hub} has no model org/none" in error

        job = backend.submit({**CONFIG, "model": "org/tiny", "datasetSplit": 0})
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


def test_a_gated_teacher_ends_the_job_before_its_training(tiny: Path, mirrored: tuple[Backend, Path]) -> None:
    backend, root = mirrored
    serve(tiny, root / "student", "student")
    serve(tiny, root / "gated", "gated", gated=True)
    job = backend.submit({**CONFIG, "method": "distill", "model": "org/student", "teacher": "org/gated"})
    frames = list(backend.events(job))
    assert "training.started" not in {frame.event for frame in frames}
    error = backend.job(job)["error"]
    assert re.fullmatch(
        r"The model org/gated requires accepting its licence on \S+/org/gated; then set HF_TOKEN", error
    )


def test_an_untrainable_model_is_refused_before_its_download(
    tiny: Path, mirrored: tuple[Backend, Path]
) -> None:
    backend, root = mirrored
    serve(tiny, root / "quantized", "quantized")
    config = json.loads((root / "quantized" / "config.json").read_text())
    quantized = {**config, "quantization_config": {"quant_method": "gptq", "bits": 4}}
    (root / "quantized" / "config.json").write_text(json.dumps(quantized))
    (root / "quantized" / "README.md").write_text("---\nbase_model: some/Base-7B\n---\n")
    _Hub.asked.clear()
    job = backend.submit({**CONFIG, "model": "org/quantized"})
    error = backend.wait_for(job, "training.failed").json["error"]
    assert "are quantized (GPTQ)" in error
    assert "Choose some/Base-7B" in error
    fetched = {path.rpartition("/")[2] for path in _Hub.asked if "/resolve/" in path}
    assert fetched == {"config.json", "README.md"}


@pytest.fixture(scope="module")
def mirrored(
    tmp_path_factory: pytest.TempPathFactory, hub: str, template: dict[str, str]
) -> Iterator[tuple[Backend, Path]]:
    """A backend for all lies, each told of a model of its own; and the folder of everything."""
    root = tmp_path_factory.mktemp("mirrored")
    backend = start(root, hub, **template)
    yield backend, root
    backend.stop()


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ({"commit": "../../../../escaped"}, "sent an invalid commit"),
        ({"header_commit": "../../../../escaped"}, "sent an invalid commit"),
        ({"header_commit": COMMIT.upper()}, "sent an invalid commit"),
        ({"tag": "../../../../escaped"}, "ETag"),
        ({"tag": ".."}, "ETag"),
        ({"tag": "/tmp/escaped"}, "ETag"),
        ({"names": ["../../../../escaped.json"]}, "listed an invalid file"),
        ({"names": ["/tmp/escaped.json"]}, "listed an invalid file"),
        ({"surplus": 5}, "was announced with|should be of size|do not use this hub"),
        ({"surplus": 64 * 2**20}, "than the .* bytes that it announced|was announced with"),
    ],
)
def test_a_hostile_mirror_reads_and_writes_no_other_files(
    tiny: Path, mirrored: tuple[Backend, Path], lie: dict[str, Any], reason: str
) -> None:
    backend, root = mirrored
    name = f"lie{len(_Hub.served)}"
    serve(tiny, root / name, name, **lie)

    def beside() -> set[Path]:
        return {path for path in root.rglob("*") if not {"cache", "data"} & set(path.parts)}

    before = beside()
    job = backend.submit({**CONFIG, "model": f"org/{name}"})
    error = backend.wait_for(job, "training.failed").json["error"]
    assert re.search(reason, error), error
    assert beside() == before
    assert not list(root.rglob("*escaped*"))
    assert not Path("/tmp/escaped").exists()


def test_nothing_of_a_hostile_mirror_is_taken_for_a_model_the_next_time(
    tiny: Path, mirrored: tuple[Backend, Path]
) -> None:
    backend, root = mirrored
    serve(tiny, root / "again", "again", surplus=5)
    job = backend.submit({**CONFIG, "model": "org/again"})
    assert backend.wait_for(job, "training.failed").json["error"]
    again = backend.submit({**CONFIG, "model": "org/again"})
    assert backend.wait_for(again, "training.failed").json["error"]
