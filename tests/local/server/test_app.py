"""Who may ask what, and the answers that need no model: against the true process, over raw HTTP."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.data.forms import FORMS
from arkor_dev.data.row_parser import wanted_keys
from tests.local.harness import SCOPE, TOKEN, Backend, frames_of
from tests.local.tiny_model import chats, write_jsonl
from tests.support.hostile_json import VALUES, with_value

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG: dict[str, Any] = {
    "model": "./models/none",
    "datasetSource": {"type": "file", "path": "data/chats.jsonl"},
}


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """One for all tests here: none of them trains."""
    root = tmp_path_factory.mktemp("app")
    write_jsonl(root / "tests" / "data" / "chats.jsonl", chats(12))
    backend = Backend.start(root / "data", root / "tests", root / "cache")
    yield backend
    backend.stop()
    assert backend.errors == []


@pytest.fixture(scope="module")
def project(backend: Backend) -> Path:
    arguments = backend.process.args
    assert isinstance(arguments, list)
    return Path(str(arguments[arguments.index("--project") + 1]))


def raw(
    backend: Backend, method: str, path: str, headers: list[tuple[str, str]]
) -> tuple[int, dict[str, Any]]:
    """A request with exactly these headers."""
    connection = backend.connection()
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value.encode("latin-1"))
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"{}")
    finally:
        connection.close()


ATTACKS: list[tuple[list[tuple[str, str]], int]] = [
    ([("Host", "localhost")], 401),
    ([("Host", "localhost"), ("Authorization", "Bearer wrong")], 401),
    ([("Host", "localhost"), ("Authorization", TOKEN)], 401),
    ([("Host", "localhost"), ("Authorization", f"bearer {TOKEN}")], 401),
    ([("Host", "localhost"), ("Authorization", "Bearer té")], 401),
    ([("Host", "evil.example"), ("Authorization", f"Bearer {TOKEN}")], 403),
    ([("Host", "127.0.0.1"), ("Authorization", f"Bearer {TOKEN}")], 403),
    ([("Host", "localhost.evil"), ("Authorization", f"Bearer {TOKEN}")], 403),
    ([("Host", ""), ("Authorization", f"Bearer {TOKEN}")], 403),
    ([("Host", "localhost"), ("Authorization", f"Bearer {TOKEN}")], 200),
]


@pytest.mark.parametrize(("headers", "status"), ATTACKS)
def test_requests_without_the_token_are_refused(
    backend: Backend, headers: list[tuple[str, str]], status: int
) -> None:
    got, _ = raw(backend, "GET", f"/v1/jobs?{SCOPE}", headers)
    assert got == status


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/me"),
        ("GET", "/v1/projects"),
        ("POST", "/v1/projects"),
        ("GET", "/v1/jobs"),
        ("POST", "/v1/jobs"),
        ("GET", "/v1/jobs/x"),
        ("POST", "/v1/jobs/x/cancel"),
        ("GET", "/v1/jobs/x/events/stream"),
        ("POST", "/v1/inference/chat"),
        ("GET", "/v1/endpoints"),
        ("DELETE", "/v1/endpoints/x/keys/y"),
        ("GET", "/nothing"),
    ],
)
def test_no_route_answers_without_the_token(backend: Backend, method: str, path: str) -> None:
    status, body = raw(backend, method, f"{path}?{SCOPE}", [("Host", "localhost")])
    assert (status, body) == (401, {"error": "Missing or invalid token"})


def test_identity_and_project_are_served(backend: Backend) -> None:
    status, body = raw(backend, "GET", "/v1/auth/cli/config", [("Host", "localhost")])
    assert (status, body) == (200, dict.fromkeys(("auth0Domain", "clientId", "audience", "callbackPorts")))
    me = backend.call("GET", "/v1/me").json
    assert me["orgs"] == [{"id": "local", "slug": "local", "name": "This machine"}]
    assert me["user"]["id"] == "local"
    projects = backend.call("GET", "/v1/projects").json
    assert projects["org"]["slug"] == "local"
    assert projects["projects"] == [
        {"id": backend.ready["projectId"], "slug": "tests", "name": "tests", "orgId": "local"}
    ]
    assert backend.call("POST", "/v1/projects", {"name": "x", "slug": "x"}).status == 409


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ("", 400, "orgSlug is missing"),
        ("?orgSlug=local", 400, "projectSlug is missing"),
        ("?orgSlug=local&projectSlug=other", 404, "This backend serves local/tests, not local/other"),
        ("?orgSlug=o&projectSlug=tests", 403, "This backend serves local/tests, not the organisation o"),
    ],
)
def test_another_scope_is_refused(backend: Backend, query: str, status: int, reason: str) -> None:
    headers = [("Host", "localhost"), ("Authorization", f"Bearer {TOKEN}")]
    assert raw(backend, "GET", f"/v1/jobs{query}", headers) == (status, {"error": reason})


def test_unknown_jobs_paths_and_methods_are_json_errors(backend: Backend) -> None:
    for method, path, status in [
        ("GET", "/v1/jobs/job_none", 404),
        ("POST", "/v1/jobs/job_none/cancel", 404),
        ("GET", "/v1/jobs/job_none/events/stream", 404),
        ("GET", "/v1/nothing", 404),
        ("DELETE", "/v1/me", 405),
    ]:
        answer = backend.call(method, path)
        assert answer.status == status
        assert answer.json["error"]


BODIES: list[tuple[Any, str]] = [
    ({}, "name is missing: it must be text of 1 to 200 characters"),
    ({"name": " ", "config": CONFIG}, "name must be text"),
    ({"name": "x" * 201, "config": CONFIG}, "name must be text"),
    ([], "The body must be a JSON object, not []"),
    ({"name": "a"}, "config is missing: it must be a JSON object"),
    ({"name": "a", "config": []}, "config must be a JSON object, not []"),
    ({"name": "a", "config": {**CONFIG, "maxSteps": "many"}}, "config.maxSteps must be a whole number"),
    (
        {"name": "a", "config": {**CONFIG, "datasetSource": {"type": "file", "path": "../x"}}},
        'config.datasetSource: "../x" is outside the project',
    ),
]


@pytest.mark.parametrize(("body", "reason"), BODIES)
def test_an_invalid_job_is_not_created(backend: Backend, body: Any, reason: str) -> None:
    before = backend.call("GET", "/v1/jobs").body
    answer = backend.call("POST", "/v1/jobs", body)
    assert answer.status == 400
    assert reason in answer.json["error"]
    assert backend.call("GET", "/v1/jobs").body == before


def test_a_body_that_is_not_json_or_too_large_is_refused(backend: Backend) -> None:
    connection = backend.connection()
    for data, status in [(b"{", 400), (b'{"name": "' + b"x" * 9 * 2**20 + b'"}', 413)]:
        connection.request("POST", f"/v1/jobs?{SCOPE}", data, {"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        assert answer.status == status
        assert json.loads(answer.read())["error"]
    connection.close()


NO_NOT = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {}}}}
UNUSABLE = {"datasetSource": {"type": "none"}}  # looked at last: no job comes of these
ODD_BODIES = {
    "/v1/jobs": [
        *(
            json.dumps({"name": "n", "config": {**CONFIG, **UNUSABLE, field: "@"}}).replace('"@"', "@")
            for field in (
                *("model", "datasetSource", "learningRate", "batchSize", "loraR", "loraAlpha", "weightDecay"),
                *("datasetSplit", "seed", "dryRun", "lrSchedulerType", "optim", "numTrainEpochs", "extra"),
            )
        ),
        json.dumps({"name": "n", "config": {**CONFIG, **UNUSABLE, "maxSteps": "@"}}).replace('"@"', "@"),
        '{"name": @, "config": {}}',
        '{"name": "n", "config": {"model": "m", "datasetSource": {"type": @}}}',
        '{"name": "n", "config": {"model": "m", "datasetSource": {"type": "file", "path": @}}}',
        '{"name": "n", "config": @}',
        "@",
    ],
    "/v1/inference/chat": [
        *(
            f'{{"baseModel": "./none", "messages": [{{"role": "user", "content": "x"}}], "{field}": @}}'
            for field in ("temperature", "topP", "maxTokens", "tools", "adapter", "responseFormat", "stream")
        ),
        '{"baseModel": @, "messages": [{"role": "user", "content": "x"}]}',
        '{"baseModel": "./models/none", "messages": @}',
        '{"baseModel": "./models/none", "messages": [{"role": @, "content": "x"}]}',
        '{"baseModel": "./models/none", "messages": [{"role": "user", "content": @}]}',
        '{"adapter": {"kind": @}}',
        '{"adapter": {"kind": "final", "jobId": @}}',
        '{"adapter": {"kind": "checkpoint", "jobId": "x", "step": @}}',
        "@",
    ],
}


def posted(backend: Backend, path: str, data: bytes) -> int:
    """The status of the answer to a body as it is."""
    connection = backend.connection()
    try:
        connection.request("POST", f"{path}?{SCOPE}", data, {"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        assert answer.status == 200 or json.loads(answer.read())["error"]
        return answer.status
    finally:
        connection.close()


@pytest.mark.parametrize("path", ODD_BODIES)
def test_hostile_json_values_are_refused(backend: Backend, path: str) -> None:
    wrong = []
    for template in ODD_BODIES[path]:
        for name, value in VALUES.items():
            status = posted(backend, path, with_value(template, value))
            if status not in (200, 400, 404, 409):
                wrong.append((template, name, status))
    assert wrong == []


@pytest.mark.engine  # without the libraries the model fails at once, perhaps before the data is read
def test_invalid_data_fails_the_job_before_the_model_is_loaded(backend: Backend, project: Path) -> None:
    (project / "data" / "bad.jsonl").write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "a"}\n')
    source = {"type": "file", "path": "data/bad.jsonl"}
    job = backend.submit({**CONFIG, "model": "smollm2-135m-instruct", "datasetSource": source})
    quiet = ("model.progress", "training.phase")
    frames = [frame for frame in backend.events(job) if frame.event not in quiet]
    assert [frame.event for frame in frames] == ["training.failed", "end"]
    error = frames[0].json["error"]
    assert error == f"data/bad.jsonl, line 2: has the keys prompt; expected {wanted_keys(FORMS)}"
    found = backend.job(job)
    assert (found["status"], found["error"]) == ("failed", error)
    listed = backend.call("GET", "/v1/jobs").json["jobs"]
    assert found in listed


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("./models/none", "Model folder not found: ./models/none"),
        ("/nowhere/at/all", "Model folder not found: /nowhere/at/all"),
        ("data", "The folder data doesn't hold a model for this backend: it has no config.json"),
    ],
)
def test_a_folder_without_a_model_fails_the_job(backend: Backend, model: str, reason: str) -> None:
    job = backend.submit({**CONFIG, "model": model})
    assert backend.wait_for(job, "training.failed").json["error"].startswith(reason)


CHATS: list[tuple[dict[str, Any], int, str]] = [
    ({}, 400, "Set adapter or baseModel"),
    ({"baseModel": "./models/none"}, 400, "Model folder not found"),
    ({"adapter": {"kind": "final"}}, 400, "adapter.jobId is missing"),
    ({"adapter": {"kind": "checkpoint", "jobId": "x"}}, 400, "adapter.step"),
    ({"adapter": {"kind": "final", "jobId": "x"}}, 404, "There is no job x"),
    (
        {"adapter": {"kind": "best", "jobId": "x"}},
        400,
        'adapter.kind must be one of "final", "checkpoint", not "best"',
    ),
    ({"baseModel": "m", "messages": []}, 400, "messages must be a list of one or more messages, not []"),
    (
        {"baseModel": "m", "messages": [{"role": "robot", "content": "x"}]},
        400,
        'messages[0].role must be one of "system", "user"',
    ),
    (
        {"baseModel": "m", "messages": [{"role": "user"}]},
        400,
        "messages[0].content is missing: it must be text",
    ),
    ({"baseModel": "m", "temperature": -1}, 400, "temperature must be a number from 0 to 5, not -1"),
    ({"baseModel": "m", "topP": 0}, 400, "topP must be a number from"),
    ({"baseModel": "m", "maxTokens": "9"}, 400, "maxTokens must be a number"),
    ({"baseModel": "m", "tools": {}}, 400, "tools must be a list"),
    ({"baseModel": "m", "tools": [None]}, 400, "tools[0] must be a JSON object, not null"),
    ({"baseModel": "m", "tools": [{"function": {"name": 1}}]}, 400, "tools[0].function.name must be text"),
    (
        {"baseModel": "m", "messages": [{"role": "assistant", "tool_calls": [None]}]},
        400,
        "messages[0].tool_calls[0] must be a JSON object",
    ),
    ({"baseModel": "m", "adapterStrength": 1}, 400, "adapterStrength requires adapter"),
    ({"adapter": {"kind": "final", "jobId": "x"}, "adapterStrength": 1.6}, 400, "from 0 to 1.5"),
    ({"adapter": {"kind": "final", "jobId": "x"}, "adapterStrength": "half"}, 400, "must be a number"),
    ({"baseModel": "m", "responseFormat": 5}, 400, "responseFormat must be a JSON object"),
    (
        {"baseModel": "m", "responseFormat": {"type": "xml"}},
        400,
        "responseFormat cannot be enforced: its type must",
    ),
    ({"baseModel": "m", "structuredOutputs": {}, "responseFormat": NO_NOT}, 400, "not in # is not supported"),
    ({"baseModel": "m", "structuredOutputs": {"regex": "a"}}, 400, "does not support structuredOutputs"),
    (
        {"baseModel": "m", "toolChoice": "required"},
        400,
        "toolChoice cannot be enforced: tools has no callable function",
    ),
]


@pytest.mark.parametrize(("body", "status", "reason"), CHATS)
def test_an_invalid_chat_is_refused_before_streaming(
    backend: Backend, body: dict[str, Any], status: int, reason: str
) -> None:
    answer = backend.call(
        "POST", "/v1/inference/chat", {"messages": [{"role": "user", "content": "Hi"}], **body}
    )
    assert answer.status == status
    assert reason in answer.json["error"]


def test_a_missing_adapter_lists_the_available_ones(backend: Backend) -> None:
    job = backend.submit(CONFIG, "half")
    backend.wait_for(job, "training.failed")
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    final = backend.call("POST", "/v1/inference/chat", {**body, "adapter": {"kind": "final", "jobId": job}})
    assert (final.status, final.json) == (409, {"error": "The job half is failed and has no final adapter"})
    serves = {"kind": "adapter", "adapter": {"kind": "final", "jobId": job}}
    asked = {"slug": "half", "target": serves, "authMode": "none"}
    refused = backend.call("POST", "/v1/endpoints", asked)
    assert (refused.status, refused.json["code"]) == (409, "target_unavailable")
    assert refused.json["error"] == final.json["error"]
    step = {"kind": "checkpoint", "jobId": job, "step": 5}
    missing = backend.call("POST", "/v1/inference/chat", {**body, "adapter": step})
    assert missing.status == 404
    assert missing.json["error"] == "The job half has no checkpoint of step 5; it has none"
    for step["step"] in ("../../../x", True, None, -1):
        assert backend.call("POST", "/v1/inference/chat", {**body, "adapter": step}).status == 400


def test_an_endpoint_reports_why_it_cannot_answer(backend: Backend, project: Path) -> None:
    folder = project / "served"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.model"):
        (folder / name).touch()
    target = {"kind": "base_model", "baseModel": "./served"}
    made = backend.call("POST", "/v1/endpoints", {"slug": "served", "target": target, "authMode": "none"})
    path = f"/v1/endpoints/{made.json['deployment']['id']}"
    assert "trouble" not in backend.call("GET", path).json["deployment"]
    shutil.rmtree(folder)
    gone = backend.call("GET", path).json["deployment"]
    assert gone.pop("trouble").startswith("Model folder not found")
    assert gone == made.json["deployment"]


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (
            {"peft_type": "LORA", "use_dora": True},
            "it is a DoRA adapter, which at 0 % would not be the base model",
        ),
        (None, "the model was fully fine-tuned"),
    ],
    ids=["dora", "whole"],
)
def test_an_adapter_without_strengths_is_refused_before_streaming(
    backend: Backend, project: Path, config: dict[str, Any] | None, why: str
) -> None:
    job = backend.submit(CONFIG, "half")
    backend.wait_for(job, "training.failed")
    folder = project.parent / "data" / "jobs" / job / "final"
    folder.mkdir(parents=True)
    if config is not None:
        (folder / "adapter_config.json").write_text(json.dumps(config))
    body = {"messages": [{"role": "user", "content": "Hi"}], "adapter": {"kind": "final", "jobId": job}}
    refused = backend.call("POST", "/v1/inference/chat", {**body, "adapterStrength": 0.5})
    assert (refused.status, refused.json) == (
        409,
        {"error": f"This adapter works only at full strength: {why}"},
    )
    # At 100 % it is not refused for this: the next thing that is missing is named.
    for strength in ({}, {"adapterStrength": 1}, {"adapterStrength": None}):
        error = backend.call("POST", "/v1/inference/chat", {**body, **strength, "stream": False}).json[
            "error"
        ]
        assert "100 %" not in error


def test_a_finished_log_is_replayed_and_closed(backend: Backend) -> None:
    job = backend.submit(CONFIG)
    first = list(backend.events(job))
    with backend.open("GET", f"/v1/jobs/{job}/events/stream") as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        again = list(frames_of(answer))
    assert [(f.id, f.data) for f in again[:-1]] == [(f.id, f.data) for f in first[:-1]]
    assert [frame.event for frame in backend.events(job, last=first[-2].id)] == ["end"]
    for unknown in ("999", "9" * 5000):
        assert len(list(backend.events(job, last=unknown))) == len(first)


def test_the_server_imports_no_torch() -> None:
    code = "import sys, arkor_dev.local.server.app, arkor_dev.local.__main__; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for name in ("torch", "transformers", "peft", "huggingface_hub", "tokenizers"):
        assert f"'{name}'" not in loaded
    assert "'arkor_dev.local.jobs.store'" in loaded
    assert "'arkor_dev.backend.client'" not in loaded
