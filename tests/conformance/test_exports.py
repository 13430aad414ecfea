"""What a job has made, as files with a proof (docs/contract.md#exports), where the feature is named."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from .test_features import named
from .test_order import need

if TYPE_CHECKING:
    from .conftest import Cancelled, Finished
    from .target import Target


@pytest.fixture
def export(target: Target, exported: dict[str, Any] | None) -> dict[str, Any]:
    """The final adapter of a job, exported once for all tests."""
    need(target, "exports")
    assert exported is not None
    return exported


def test_an_export_has_its_files_and_its_proof(export: dict[str, Any]) -> None:
    assert export["state"] == "completed", export
    assert export["bytes"] >= sum(entry["bytes"] for entry in export["files"]) > 0
    proof = export["proof"]
    assert proof["verdict"] == "same", proof
    assert proof["sentence"].strip()
    assert 0 <= proof["agreeingTokens"] <= proof["answerTokens"]
    assert 0 <= proof["firstChoices"] <= 1
    assert proof["divergence"] <= proof["allowed"]["divergence"]
    assert proof["loss"].keys() >= {"base", "trained", "exported"}


def test_an_export_says_how_programs_use_it(export: dict[str, Any]) -> None:
    for field, placeholder, other in (
        ("usage", "FOLDER", "REPOSITORY"),
        ("hubUsage", "REPOSITORY", "FOLDER"),
    ):
        lines = export.get(field, [])
        assert all(
            isinstance(text, str) and text.strip() for program, line in lines for text in (program, line)
        )
        assert not lines or placeholder in str(lines), field
        assert other not in str(lines), field


def test_exported_files_match_their_hash(target: Target, finished: Finished, export: dict[str, Any]) -> None:
    path = f"/v1/jobs/{finished.id}/exports/{export['id']}/files"
    for entry in export["files"]:
        answer = target.call("GET", f"{path}/{entry['name']}")
        assert (answer.status, len(answer.body)) == (200, entry["bytes"])
        assert hashlib.sha256(answer.body).hexdigest() == entry["sha256"]
        part = target.call("GET", f"{path}/{entry['name']}", headers={"Range": "bytes=2-5"})
        assert (part.status, part.body) == (206, answer.body[2:6])
    for name in ("nothing.bin", "..%2Fmanifest.json", "%2Fetc%2Fpasswd"):
        assert target.call("GET", f"{path}/{name}").status == 404, name


def test_exports_are_listed_and_deleted(target: Target, finished: Finished, export: dict[str, Any]) -> None:
    path = f"/v1/jobs/{finished.id}/exports"
    answer = target.call("POST", path, {"format": "adapter"})
    gone = answer.json["export"]["id"]
    listed = [each["id"] for each in target.get(path)["exports"]]
    assert {gone, export["id"]} <= set(listed)
    assert target.call("DELETE", f"{path}/{gone}").status == 204
    assert gone not in [each["id"] for each in target.get(path)["exports"]]
    for method in ("GET", "DELETE"):
        assert target.call(method, f"{path}/{gone}").status == 404


def test_invalid_exports_are_refused(
    target: Target, finished: Finished, cancelled: Cancelled, endless: str
) -> None:
    need(target, "exports")
    for job_id, body, status in (
        (finished.id, {}, 400),
        (finished.id, {"format": "pickle"}, 400),
        (finished.id, {"format": "adapter", "step": "last"}, 400),
        (finished.id, {"format": "adapter", "step": 999_999}, 404),
        (cancelled.id, {"format": "adapter"}, 409),
        (endless, {"format": "adapter"}, 409),
        ("no-such-job", {"format": "adapter"}, 404),
    ):
        answer = target.call("POST", f"/v1/jobs/{job_id}/exports", body)
        assert (answer.status, bool(answer.error)) == (status, True), (job_id, body)


def test_gguf_options_are_validated(target: Target, finished: Finished) -> None:
    need(target, "exports")
    path = f"/v1/jobs/{finished.id}/exports"
    for body in (
        {"format": "gguf", "quantization": "q1"},
        {"format": "gguf-lora", "quantization": "q8_0"},
        {"format": "merged", "quantization": "q8_0"},
        {"format": "gguf", "strength": 0},
        {"format": "gguf", "strength": 1.6},
        {"format": "adapter", "strength": 0.5},
    ):
        answer = target.call("POST", path, body)
        assert (answer.status, bool(answer.error)) == (400, True), body
    wanted = {"format": "gguf", "strength": 0.5}
    answer = target.call("POST", path, wanted)
    if "gguf" not in named(target):
        assert answer.status == 400
        return
    if answer.status == 409:  # its machine lacks what that takes
        assert answer.error
        return
    export = answer.json["export"]
    assert {key: export[key] for key in wanted} == wanted
    assert export["quantization"] == "q8_0"
    assert target.call("DELETE", f"{path}/{export['id']}").status == 204


def test_without_the_feature_exports_are_404(target: Target, finished: Finished) -> None:
    if "exports" not in named(target):
        assert target.call("POST", f"/v1/jobs/{finished.id}/exports", {"format": "adapter"}).status == 404
        assert target.call("GET", f"/v1/jobs/{finished.id}/exports").status == 404
