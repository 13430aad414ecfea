"""Jobs on real nodes that share a folder: a node that takes over reads the state there."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.cluster.storage.shared import SHARED_FOLDERS
from tests.local.conftest import CONFIG
from tests.local.harness import until

from .conftest import LONG, STEPS, adapter, held, over
from .test_cluster import arrive, clean, node_of, on

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.conftest import Trained
    from tests.local.harness import Backend

    from .conftest import Nodes

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(600)]


def placed(backend: Backend, job: str) -> list[str]:
    """What was said of each place that the job had."""
    said = (str(frame.json.get("message", "")) for frame in backend.events(job))
    return [text for text in said if text.startswith("It trains on the node ")]


def stored(place: Path, job: str) -> set[str]:
    """The hashes of the job's files that lie there."""
    [folder] = place.glob(f"arkor-dev*/{job}")
    return {path.name for path in folder.iterdir()}


def states(data: Path, job: str) -> set[str]:
    """Return the hashes of the states here from which the job can resume."""
    found = (path for kind in SHARED_FOLDERS for path in (data / "jobs" / job / kind).rglob("state.pt"))
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def caught_up(data: Path, place: Path, job: str) -> bool:
    """Whether nothing has come here for two seconds, and all that can be gone on from lies there, too."""
    found = states(data, job)
    time.sleep(2)
    return bool(found) and found == states(data, job) and found <= stored(place, job)


def test_a_replacement_node_resumes_from_storage(
    beside: Backend, data: Path, nodes: Nodes, undisturbed: bytes, tmp_path: Path
) -> None:
    root = place = tmp_path / "shared"
    root.mkdir()
    job = beside.submit(on(nodes, LONG, storage=str(root)), "shares")
    arrive(beside, job, 21)
    # The worker may be far ahead of what is known here, and have removed points whose files come just now.
    with held(nodes.workers()):
        until(lambda: caught_up(data, place, job))
        node = node_of(beside, job)
        nodes.order(end=node)
    try:
        found = over(beside, job)
    finally:
        nodes.order(add=node)
    assert found["status"] == "completed", found
    assert adapter(data, job) == undisturbed
    frames = list(beside.events(job))
    [resumed] = [frame.json for frame in frames if frame.event == "training.resumed"]
    assert resumed["step"] >= 20
    assert f"The node {node} of the cluster" in resumed["message"]
    assert "was lost" in resumed["message"]
    logged = (frame.json for frame in frames if frame.event == "training.log")
    assert [row["step"] for row in logged if "loss" in row] == list(range(1, STEPS + 1))
    before, after = placed(beside, job)
    assert f"Checkpoints are also stored in {root}." in before
    assert "This machine does not see" not in before
    assert "found there" not in before
    assert "found there." in after
    # Of the points that stay each file lies there, and nothing of those that are gone.
    there = stored(place, job)
    kept = [path for kind in SHARED_FOLDERS for path in (data / "jobs" / job / kind).rglob("*")]
    assert states(data, job)
    assert states(data, job) <= there
    assert len(there) <= len([path for path in kept if path.is_file()])
    until(lambda: clean(nodes))


def test_a_node_without_access_to_storage_trains_and_says_so(
    beside: Backend, data: Path, nodes: Nodes, trained: Trained, tmp_path: Path
) -> None:
    none = tmp_path / "none"
    job = beside.submit(on(nodes, CONFIG, storage=str(none)), "blind")
    found = over(beside, job)
    assert found["status"] == "completed", found
    assert adapter(data, job) == adapter(trained.data, trained.job)
    [text] = placed(beside, job)
    assert f"Checkpoints are stored on this machine only, and not in {none}: the node " in text
    assert f"does not see it (no such folder: {none})" in text
    assert not none.exists()


def test_a_store_without_its_package_does_not_fail_the_job(
    beside: Backend, data: Path, nodes: Nodes, trained: Trained
) -> None:
    job = beside.submit(on(nodes, CONFIG, storage="az://container/jobs"), "nobody")
    found = over(beside, job)
    assert found["status"] == "completed", found
    assert adapter(data, job) == adapter(trained.data, trained.job)
    [text] = placed(beside, job)
    assert "Checkpoints are stored on this machine only, and not in az://container/jobs: the node " in text
    assert "adlfs, which az:// needs: pip install" in text
    assert "This machine does not see az://container/jobs (this Python has no " in text


@pytest.mark.parametrize("storage", ["jobs", "file:///mnt/jobs", "s3://key:very-secret@bucket/jobs"])
def test_invalid_storage_addresses_are_refused(beside: Backend, nodes: Nodes, storage: str) -> None:
    body = {"name": "bad", "config": on(nodes, LONG, storage=storage)}
    answer = beside.call("POST", "/v1/jobs", body)
    assert (answer.status, "storage must be the absolute path" in answer.json["error"]) == (400, True)
    assert "secret" not in answer.json["error"]
