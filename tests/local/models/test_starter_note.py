"""A job on the starter model of the package index says what its weights are."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.models.catalog import STARTER_NOTE, starter_folder
from tests.local.conftest import CONFIG
from tests.local.harness import Backend

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine


def test_jobs_on_the_packaged_starter_have_a_note(
    tmp_path: Path, tiny: Path, project: Path, template: dict[str, str]
) -> None:
    shutil.copytree(tiny, starter_folder(tmp_path / "cache"))  # what counts is where it lies
    backend = Backend.start(tmp_path / "data", project, tmp_path / "cache", **template)
    try:
        job = backend.submit({**CONFIG, "model": "smollm2-135m-instruct", "maxSteps": 1, "evalSteps": 0})
        frames = list(backend.events(job))
    finally:
        backend.stop()
    messages = [frame.json["message"] for frame in frames if frame.event == "training.message"]
    assert messages[0] == STARTER_NOTE
    metadata = next(frame.json["metadata"] for frame in frames if frame.event == "training.started")
    assert metadata["modelNote"] == STARTER_NOTE
