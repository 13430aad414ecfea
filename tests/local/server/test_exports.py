"""Exports through the local backend: never beside a training, whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.provenance.compare import compare
from arkor_dev.contract.provenance.statement import read_statement
from tests.local.conftest import CONFIG, ENDLESS
from tests.local.harness import until

if TYPE_CHECKING:
    from tests.local.conftest import Trained

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]  # models are loaded, and a busy machine


def ask(trained: Trained, **body: Any) -> str:
    answer = trained.backend.call("POST", f"/v1/jobs/{trained.job}/exports", body)
    assert answer.status == 201, answer.body
    return str(answer.json["export"]["id"])


def told(trained: Trained, export: str) -> dict[str, Any]:
    answer = trained.backend.call("GET", f"/v1/jobs/{trained.job}/exports/{export}")
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json["export"]
    return found


def done(trained: Trained, export: str) -> dict[str, Any]:
    found: dict[str, Any] = until(
        lambda: (now := told(trained, export))["state"] in ("completed", "failed") and now, 120
    )
    return found


def writes(trained: Trained) -> bool:
    """Whether an export's process is at work."""
    return bool(trained.backend.processes("exports.worker"))


def test_an_export_yields_to_training_and_restarts(trained: Trained) -> None:
    backend, folder = trained.backend, trained.data / "jobs" / trained.job / "exports"
    for _ in range(5):
        export = ask(trained, format="merged")
        until(lambda: writes(trained) or told(trained, export)["state"] == "completed", 60)  # noqa: B023
        job = backend.submit(ENDLESS, "endless")
        until(lambda: backend.job(job)["status"] == "running", 60)  # noqa: B023
        until(lambda: told(trained, export)["state"] in ("waiting", "completed"))  # noqa: B023
        if told(trained, export)["state"] == "waiting":
            break
        # It was done before the training began: once more.
        backend.call("POST", f"/v1/jobs/{job}/cancel")
        backend.call("DELETE", f"/v1/jobs/{trained.job}/exports/{export}")
    assert told(trained, export)["state"] == "waiting"
    until(lambda: not writes(trained))
    backend.call("POST", f"/v1/jobs/{job}/cancel")
    found = done(trained, export)
    assert found["state"] == "completed", found
    assert found["proof"]["verdict"] == "same", found["proof"]
    names = {file["name"] for file in found["files"]}
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md", "provenance.json"} <= names
    made = read_statement(folder / export)
    assert {each.state for each in compare(folder / export, made)} == {"same"}
    assert "LoRA), merged into" in (folder / export / "README.md").read_text()
    assert (folder / export / "model.safetensors").is_file()
    backend.call("DELETE", f"/v1/jobs/{trained.job}/exports/{export}")
    assert not folder.exists()


def test_deleting_a_job_deletes_its_exports(trained: Trained) -> None:
    backend = trained.backend
    job = backend.submit({**CONFIG, "maxSteps": 2, "dryRun": True}, "short")
    backend.wait_for(job, "end")
    path = f"/v1/jobs/{job}/exports"
    export = backend.call("POST", path, {"format": "merged"})
    assert export.status == 201
    one = f"{path}/{export.json['export']['id']}"
    until(lambda: writes(trained) or backend.call("GET", one).json["export"]["state"] == "completed", 60)
    assert backend.call("DELETE", f"/v1/jobs/{job}").status == 204
    until(lambda: not writes(trained))
    until(lambda: not (trained.data / "jobs" / job).exists())


def test_a_cancelled_export_leaves_nothing(trained: Trained) -> None:
    export = ask(trained, format="merged", step=10)
    until(lambda: writes(trained) or told(trained, export)["state"] == "completed", 60)
    answer = trained.backend.call("DELETE", f"/v1/jobs/{trained.job}/exports/{export}")
    assert answer.status == 204
    until(lambda: not writes(trained))
    folder = trained.data / "jobs" / trained.job / "exports"
    until(lambda: not folder.exists())
