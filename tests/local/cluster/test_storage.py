"""Jobs on true nodes that share a folder: a node that takes over reads what it goes on from there."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from tests.local.harness import until

from .conftest import LONG, adapter, over
from .test_cluster import arrive, clean, node_of, on

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.harness import Backend

    from .conftest import Nodes

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(600)]


def placed(backend: Backend, job: str) -> list[str]:
    """What was said of each place that the job had."""
    said = (str(frame.json.get("message", "")) for frame in backend.events(job))
    return [text for text in said if text.startswith("It trains on the node ")]


def test_a_node_that_takes_over_reads_there_what_it_goes_on_from(
    beside: Backend, data: Path, nodes: Nodes, undisturbed: bytes, tmp_path: Path
) -> None:
    job = beside.submit(on(nodes, LONG, storage=str(tmp_path)), "shares")
    arrive(beside, job, 45)
    node = node_of(beside, job)
    [folder] = tmp_path.glob(f"arkor-dev-*/{job}")
    assert any(folder.iterdir())
    nodes.order(end=node)
    try:
        found = over(beside, job)
    finally:
        nodes.order(add=node)
    assert found["status"] == "completed", found
    assert adapter(data, job) == undisturbed
    before, after = placed(beside, job)
    assert f"Checkpoints lie in {tmp_path}, too." in before
    assert "that were there" not in before
    assert "that were there." in after
    # Of the points that stay each file lies there, and nothing of those that are gone.
    there = {path.name for path in folder.iterdir()}
    kept = [path for kind in ("checkpoints", "resume") for path in (data / "jobs" / job / kind).rglob("*")]
    states = [path for path in kept if path.name == "state.pt"]
    assert states
    assert {hashlib.sha256(path.read_bytes()).hexdigest() for path in states} <= there
    assert len(there) <= len([path for path in kept if path.is_file()])
    until(lambda: clean(nodes))


def test_a_node_that_does_not_see_it_trains_as_without_and_says_so(
    beside: Backend, data: Path, nodes: Nodes, undisturbed: bytes, tmp_path: Path
) -> None:
    none = tmp_path / "none"
    job = beside.submit(on(nodes, LONG, storage=str(none)), "blind")
    found = over(beside, job)
    assert found["status"] == "completed", found
    assert adapter(data, job) == undisturbed
    [text] = placed(beside, job)
    assert f"Checkpoints come here alone and not to {none}: the node " in text
    assert f"does not see it (there is no folder {none})" in text
    assert not none.exists()


def test_what_is_no_folder_is_refused(beside: Backend, nodes: Nodes) -> None:
    body = {"name": "bad", "config": on(nodes, LONG, storage="jobs")}
    answer = beside.call("POST", "/v1/jobs", body)
    assert (answer.status, "storage must be the absolute path" in answer.json["error"]) == (400, True)
