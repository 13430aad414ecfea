"""Callers of a deployment, through Studio, where the feature is named (docs/contract.md#serving)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from .target import frames_of, until
from .test_endpoints import good, make
from .test_jobs import moment
from .test_order import need

if TYPE_CHECKING:
    from collections.abc import Callable

    from .target import Answer, Target

    Make = Callable[..., dict[str, Any]]

__all__ = ["make"]

ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "Where is my parcel?"}], "max_tokens": 4}
KEY = "X-Arkor-Endpoint-Key"


def ask(
    target: Target, slug: str, body: Any = None, key: str | None = None, call: str = "chat/completions"
) -> Answer:
    headers = {} if key is None else {KEY: key}
    return target.call(
        "POST", f"/v1/serve/{slug}/{call}", {**ASK, "model": slug} if body is None else body, headers=headers
    )


def test_an_open_deployment_answers_like_openai(target: Target, make: Make) -> None:
    need(target, "serving")
    slug = make()["slug"]
    answer = ask(target, slug)
    assert answer.status == 200, answer
    told = answer.json
    assert (told["object"], told["model"]) == ("chat.completion", slug)
    (choice,) = told["choices"]
    assert choice["index"] == 0
    assert choice["message"]["role"] == "assistant"
    assert isinstance(choice["message"]["content"], str)
    assert choice["finish_reason"] in ("stop", "length")
    usage = told["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


@pytest.mark.parametrize("stream", [False, True])
def test_options_without_effect_are_accepted_and_named_in_a_header(
    target: Target, make: Make, stream: bool
) -> None:
    need(target, "serving")
    slug = make()["slug"]
    body = {**ASK, "metadata": {"a": "b"}, "user": "me", "store": False, "stream": stream}
    with target.open("POST", f"/v1/serve/{slug}/chat/completions", body) as answer:
        assert answer.status == 200, answer.read()
        assert answer.headers["X-Arkor-Ignored"] == "metadata, user"
        answer.read()
    with target.open("POST", f"/v1/serve/{slug}/chat/completions", ASK) as answer:
        assert "X-Arkor-Ignored" not in answer.headers


def test_a_stream_consists_of_openai_chunks(target: Target, make: Make) -> None:
    need(target, "serving")
    slug = make()["slug"]
    with target.open("POST", f"/v1/serve/{slug}/chat/completions", {**ASK, "stream": True}) as answer:
        assert answer.status == 200, answer.read()
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        *chunks, done = frames_of(answer)
    assert done.data == "[DONE]"
    assert {frame.event for frame in chunks} == {"message"}
    told = [json.loads(frame.data) for frame in chunks]
    assert {each["object"] for each in told} == {"chat.completion.chunk"}
    assert {each["model"] for each in told} == {slug}
    assert told[-1]["choices"][0]["finish_reason"] in ("stop", "length")
    assert all(each["choices"][0]["finish_reason"] is None for each in told[:-1])


def test_models_are_listed(target: Target, make: Make) -> None:
    need(target, "serving")
    slug = make()["slug"]
    told = target.get(f"/v1/serve/{slug}/models")
    assert told["object"] == "list"
    assert [each["id"] for each in told["data"]] == [slug]
    assert target.get(f"/v1/serve/{slug}/models/{slug}")["id"] == slug


def test_a_missing_key_is_an_openai_error(target: Target, make: Make) -> None:
    need(target, "serving")
    deployment = make(authMode="fixed_api_key")
    path, slug = f"/v1/endpoints/{deployment['id']}", deployment["slug"]
    issued = target.call("POST", f"{path}/keys", {"label": "a"}).json["key"]
    for key in (None, "", "ak-wrong", issued["plaintext"][:-1], issued["prefix"]):
        refused = ask(target, slug, key=key)
        assert (refused.status, refused.json["code"]) == (403, "invalid_api_key")
        assert refused.error
    assert ask(target, slug, key=issued["plaintext"]).status == 200
    assert target.call("DELETE", f"{path}/keys/{issued['id']}").status == 204
    assert ask(target, slug, key=issued["plaintext"]).status == 403


def test_disabled_and_deleted_deployments_are_404(target: Target, make: Make) -> None:
    need(target, "serving")
    deployment = make()
    path, slug = f"/v1/endpoints/{deployment['id']}", deployment["slug"]
    assert target.call("PATCH", path, {"enabled": False}).status == 200
    off = ask(target, slug)
    assert target.call("PATCH", path, {"enabled": True}).status == 200
    assert ask(target, slug).status == 200
    assert target.call("DELETE", path).status == 204
    gone = ask(target, slug)
    for refused in (off, gone, ask(target, good(target)["slug"])):
        assert (refused.status, refused.json["code"]) == (404, "endpoint_not_found")
        assert refused.error


@pytest.mark.parametrize("body", [{}, {"messages": []}, {"messages": "hi"}, b"{", []], ids=str)
def test_invalid_requests_are_refused(target: Target, make: Make, body: Any) -> None:
    need(target, "serving")
    refused = ask(target, make()["slug"], body)
    assert refused.status == 400
    assert refused.error


def test_a_model_that_is_no_classifier_gives_no_labels(target: Target, make: Make) -> None:
    need(target, "serving")
    refused = ask(target, make()["slug"], {"input": "Where is my parcel?"}, call="classify")
    assert (refused.status, refused.json["code"]) == (400, "unsupported_endpoint")


def test_a_model_that_is_no_reranker_ranks_nothing(target: Target, make: Make) -> None:
    need(target, "serving")
    refused = ask(target, make()["slug"], {"query": "Where?", "documents": ["Here."]}, call="rerank")
    assert (refused.status, refused.json["code"]) == (400, "unsupported_endpoint")


def test_a_model_that_is_no_embedder_gives_no_embeddings(target: Target, make: Make) -> None:
    need(target, "serving")
    refused = ask(target, make()["slug"], {"input": "hi"}, call="embeddings")
    assert (refused.status, refused.json["code"]) == (400, "unsupported_endpoint")


def test_requests_are_logged(target: Target, make: Make) -> None:
    need(target, "serving")
    deployment = make(runRetentionMode="unlimited")
    path = f"/v1/endpoints/{deployment['id']}/requests"
    assert target.get(path)["requests"] == []
    assert ask(target, deployment["slug"]).status == 200
    until(lambda: target.get(path)["requests"])
    told = target.get(path)
    (listed,) = told["requests"]
    assert (listed["status"], listed["key"], listed["stream"], listed["kept"]) == (200, None, False, True)
    moment(listed["at"])
    assert "messages" not in listed
    assert (told["more"], told["totals"]["requests"], told["totals"]["errors"]) == (False, 1, 0)
    kept = target.get(f"{path}/{listed['id']}")["request"]
    assert kept["messages"] == ASK["messages"]
    assert len(kept["answers"]) == 1
    assert target.call("GET", path, query={**target.scope, "before": listed["id"]}).json["requests"] == []
    assert target.call("GET", path, query={**target.scope, "before": "x"}).status == 400
    assert target.call("GET", f"{path}/999999999").status == 404
    assert (
        target.call("PATCH", f"/v1/endpoints/{deployment['id']}", {"runRetentionMode": "disabled"}).status
        == 200
    )
    after = target.get(f"{path}/{listed['id']}")["request"]
    assert (after["kept"], "messages" in after) == (False, False)
