"""The Python clients of OpenAI and Anthropic, unchanged, against an endpoint that serves a true adapter."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import openai
import pytest
from jsonschema import Draft202012Validator
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel, Field

from arkor_dev.data.traces.convert import LoggedRecord, convert
from tests.support.daemon import Daemon, free_port, running_daemon

from .conftest import make_project
from .forking_backend import of_a_studio
from .tiny_model import HERMES, OWN_SYNTAX, PHRASE, QUESTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from anthropic import Anthropic
    from openai.types.chat import ChatCompletionMessageParam

pytestmark = [
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("openai's client"),
]

TOML = """
[[trainer]]
name = "parrot"
model = "./models/tiny"
dataset = "data/chats.jsonl"
steps = 30
learning_rate = 1e-2
eval_split = 0
samples = "off"

[[trainer]]
name = "caller"
model = "./models/hermes"
dataset = "data/calls.jsonl"
steps = 60
learning_rate = 1e-2
eval_split = 0
samples = "off"

[[trainer]]
name = "thinker"
model = "./models/tiny"
dataset = "data/thoughts.jsonl"
steps = 40
learning_rate = 1e-2
eval_split = 0
samples = "off"

[[trainer]]
name = "finder"
model = "./models/tiny"
dataset = "data/pairs.jsonl"
method = "embed"
matryoshka_dims = 32
query_prompt = "query: "
steps = 10
learning_rate = 1e-2
eval_split = 0
"""
THOUGHT = "It is not on the invoice."
HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": QUESTIONS[0]}]
LONG: dict[str, Any] = {"max_tokens": 400, "temperature": 2.0}
"""An answer of some seconds: what a model of this size says at random seldom ends."""


@dataclass(frozen=True)
class Here:
    """A Studio of this machine, its trained job, one that learned to call a tool in a wrong way, one that
    learned to think, and an embedder.
    """

    daemon: Daemon
    job: str
    caller: str
    thinker: str
    finder: str

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """A call of the page."""
        request = urllib.request.Request(  # noqa: S310 - our own
            f"{self.daemon.origin}/api{path}",
            None if body is None else json.dumps(body).encode(),
            {"X-Arkor-Studio-Token": self.daemon.token, "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            return json.load(answer)

    def make(self, slug: str, **more: Any) -> tuple[str, str]:
        """An endpoint of the adapter: its id, and a key."""
        target = {"kind": "adapter", "adapter": {"kind": "final", "jobId": more.pop("job", self.job)}}
        body = {"slug": slug, "target": target, "authMode": "fixed_api_key", **more}
        identity = self.api("POST", "/deployments", body)["deployment"]["id"]
        return identity, self.api("POST", f"/deployments/{identity}/keys", {"label": "test"})["key"][
            "plaintext"
        ]

    def url(self, slug: str) -> str:
        return f"{self.daemon.origin}/e/{slug}/v1"

    def log(
        self, identity: str, what: Callable[[list[dict[str, Any]]], bool], seconds: float = 30
    ) -> list[dict[str, Any]]:
        """The endpoint's requests, the newest first, once ``what`` is true of them."""
        end = time.monotonic() + seconds
        while not what(found := self.api("GET", f"/deployments/{identity}/requests")["requests"]):
            assert time.monotonic() < end, found
            time.sleep(0.05)
        return list(found)


async def _train(daemon: Daemon, trainer: str) -> str:
    async with daemon.stream("POST", "/api/train", json={"trainer": trainer}) as answer:
        assert (await answer.text()).endswith("exit=0\n")
    jobs = (await daemon.api("GET", "/api/jobs"))["jobs"]
    return next(str(job["id"]) for job in jobs if job["name"] == trainer)


def _write_caller(project: Path, tiny: Path) -> None:
    """A base whose template writes calls, and rows that teach it two calls that break the tool's schema."""
    model = shutil.copytree(tiny, project / "models" / "hermes")
    (model / "chat_template.jinja").write_text(HERMES)
    call = {"type": "function", "function": {"name": "add", "arguments": {"n": "x"}}}
    answer = {"role": "assistant", "content": "", "tool_calls": [call, call]}
    rows = [{"messages": [{"role": "user", "content": each}, answer]} for each in QUESTIONS]
    (project / "data" / "calls.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, tiny: Path, template: dict[str, str]) -> Iterator[Here]:
    """One Studio for all, as a process of its own."""
    root = tmp_path_factory.mktemp("openai")
    project = make_project(root / "tests", tiny)
    (project / "arkor.toml").write_text(TOML)
    (project / "models" / "tiny" / "chat_template.jinja").write_text(OWN_SYNTAX)
    _write_caller(project, tiny)
    answer = f"<think>\n{THOUGHT}\n</think>\n\n{PHRASE}"
    thoughts = [{"prompt": each, "completion": answer} for each in QUESTIONS]
    (project / "data" / "thoughts.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in thoughts))
    pairs = [{"anchor": asked, "positive": f"{asked} {PHRASE}"} for asked in QUESTIONS]
    (project / "data" / "pairs.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in pairs))
    env = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "ARKOR_LEAST_FREE_BYTES": "0"}
    env |= of_a_studio(template)
    opened = running_daemon(root / "home", free_port(), "--local", "--project", str(project), **env)
    with asyncio.Runner() as runner:
        daemon = runner.run(opened.__aenter__())
        try:
            job = runner.run(_train(daemon, "parrot"))
            others = [runner.run(_train(daemon, name)) for name in ("caller", "thinker", "finder")]
            yield Here(daemon, job, *others)
        finally:
            runner.run(opened.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def bot(here: Here) -> tuple[str, str]:
    """The endpoint ``bot``: its id, and a key."""
    return here.make("bot")


@pytest.fixture
def client(here: Here, bot: tuple[str, str]) -> Iterator[OpenAI]:
    with OpenAI(base_url=here.url("bot"), api_key=bot[1], max_retries=0, timeout=120) as client:
        yield client


def test_models_are_listed(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["bot"]
    assert client.models.retrieve("bot").owned_by == "arkor"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4o")


def test_a_completion_of_the_adapter_is_read(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="bot", messages=HI, temperature=0, max_tokens=24)
    (choice,) = answer.choices
    assert choice.message.role == "assistant"
    assert PHRASE in (choice.message.content or "")
    assert choice.finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.completion_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_prompts_are_scored_for_lm_evaluation_harness(client: OpenAI) -> None:
    """Its ``local-completions``: token ids, with one token more that it leaves out again."""
    how: dict[str, Any] = {"model": "bot", "max_tokens": 1, "temperature": 0, "echo": True, "logprobs": 1}
    both = client.completions.create(prompt=[[5, 9, 30, 7], [40, 5]], **how)
    told = [choice.logprobs for choice in both.choices]
    assert [choice.index for choice in both.choices] == [0, 1]
    assert [len((each and each.token_logprobs) or ()) for each in told] == [5, 3]
    alone = client.completions.create(prompt=[40, 5], **how).choices[0].logprobs
    assert alone is not None
    assert told[1] is not None
    heights = (alone.token_logprobs or [])[1:]
    assert heights == pytest.approx((told[1].token_logprobs or [])[1:], abs=1e-4)
    assert all(
        height <= max(top.values())
        for height, top in zip(heights, (alone.top_logprobs or [])[1:], strict=True)
    )
    text = client.completions.create(**how | {"prompt": "Ahoy, the", "max_tokens": 0, "stream": True})
    chunks = [chunk for chunk in text if chunk.choices]
    assert "".join(chunk.choices[0].text for chunk in chunks) == "Ahoy, the"
    assert chunks[-1].choices[0].finish_reason == "length"
    with pytest.raises(openai.BadRequestError, match="prompt has the token 99999"):
        client.completions.create(model="bot", prompt=[5, 99_999])


def test_a_stream_has_the_same_text_and_usage(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="bot", messages=HI, temperature=0, max_tokens=24)
    chunks = list(
        client.chat.completions.create(
            model="bot",
            messages=HI,
            temperature=0,
            max_tokens=24,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert len({chunk.id for chunk in chunks}) == 1
    *others, last = chunks
    assert last.choices == []
    assert last.usage is not None
    assert whole.usage is not None
    assert last.usage.completion_tokens == whole.usage.completion_tokens
    # One engine from the first answer on, with the same weights in the same format.
    assert re.fullmatch(r"fp_[a-z.]+_\w+_[0-9a-f]{12}", whole.system_fingerprint or "")
    assert last.system_fingerprint == whole.system_fingerprint
    assert all(chunk.usage is None for chunk in others)


def test_the_responses_call_gives_the_same_answer_whole_and_streamed(client: OpenAI) -> None:
    expected = client.chat.completions.create(model="bot", messages=HI, temperature=0, max_tokens=24)
    asked: Any = {"model": "bot", "input": QUESTIONS[0], "temperature": 0, "max_output_tokens": 24}
    whole = client.responses.create(**asked)
    assert whole.output_text == expected.choices[0].message.content
    assert whole.status == "completed"
    with client.responses.stream(**asked) as stream:
        texts = [event.delta for event in stream if event.type == "response.output_text.delta"]
        ended = stream.get_final_response()
    assert "".join(texts) == ended.output_text == whole.output_text
    for usage in (whole.usage, ended.usage):
        assert usage is not None
        assert expected.usage is not None
        assert usage.input_tokens == expected.usage.prompt_tokens
        assert usage.output_tokens == expected.usage.completion_tokens
    cut = client.responses.create(**asked | {"max_output_tokens": 2})
    assert (cut.status, cut.incomplete_details and cut.incomplete_details.reason) == (
        "incomplete",
        "max_output_tokens",
    )


@pytest.mark.parametrize("stream", [False, True])
def test_the_responses_call_refuses_by_its_own_names(client: OpenAI, stream: bool) -> None:
    asked: Any = {"model": "bot", "input": "Hi", "max_output_tokens": 4, "stream": stream}
    bad = {"type": "json_schema", "name": "x", "schema": {"uniqueItems": True}}
    for more, param in (
        ({"text": {"format": bad}}, "text.format"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"input": "word " * 4000}, "input"),
    ):
        with pytest.raises(openai.BadRequestError) as fault:
            client.responses.create(**asked | more)
        assert fault.value.param == param
    with pytest.raises(openai.NotFoundError):
        client.responses.create(**asked | {"model": "gpt-5"})


@pytest.fixture
def claude(here: Here, bot: tuple[str, str]) -> Iterator[Anthropic]:
    with anthropics_client(here, "bot", api_key=bot[1]) as client:
        yield client


def anthropics_client(here: Here, slug: str, **key: str) -> Anthropic:
    """Anthropic's client, which takes a second to import."""
    from anthropic import Anthropic

    url = here.url(slug).removesuffix("/v1")
    return Anthropic(base_url=url, max_retries=0, timeout=120, **key)  # type: ignore[arg-type]


def test_anthropics_client_gets_the_same_answer_whole_and_streamed(client: OpenAI, claude: Anthropic) -> None:
    asked: Any = {"model": "bot", "max_tokens": 24, "messages": HI, "extra_body": {"temperature": 0}}
    expected = client.chat.completions.create(**asked)
    whole = claude.messages.create(**asked)
    (block,) = whole.content
    assert block.type == "text"
    assert block.text == expected.choices[0].message.content
    assert whole.stop_reason == "end_turn"
    with claude.messages.stream(**asked) as stream:
        assert "".join(stream.text_stream) == block.text
        ended = stream.get_final_message()
    assert ended.content[0].type == "text"
    assert ended.stop_reason == "end_turn"
    for usage in (whole.usage, ended.usage):
        assert expected.usage is not None
        assert usage.input_tokens + (usage.cache_read_input_tokens or 0) == expected.usage.prompt_tokens
        assert usage.output_tokens == expected.usage.completion_tokens


def test_the_tokens_of_a_conversation_are_counted_without_an_answer(
    client: OpenAI, claude: Anthropic
) -> None:
    asked: Any = {
        "model": "bot",
        "messages": [{"role": "user", "content": QUESTIONS[1]}],
        "system": "Be brief.",
    }
    counted = claude.messages.count_tokens(**asked).input_tokens
    usage = claude.messages.create(**asked, max_tokens=1).usage
    assert counted == usage.input_tokens + (usage.cache_read_input_tokens or 0) > 10
    again = client.responses.input_tokens.count(
        model="bot", input=QUESTIONS[1], instructions="Be brief."
    ).input_tokens
    assert again == counted
    import anthropic

    with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: .* > 256 maximum"):
        claude.messages.count_tokens(model="bot", messages=[{"role": "user", "content": "word " * 4000}])
    with pytest.raises(openai.BadRequestError, match="maximum context length"):
        client.responses.input_tokens.count(model="bot", input="word " * 4000)


def test_both_clients_read_thoughts_apart_from_the_answer(here: Here) -> None:
    _, key = here.make("thinker", job=here.thinker)
    asked: Any = {"model": "thinker", "temperature": 0, "messages": HI, "max_tokens": 80}
    with OpenAI(base_url=here.url("thinker"), api_key=key, max_retries=0, timeout=120) as client:
        message = client.chat.completions.create(**asked).choices[0].message
        assert message.content == PHRASE
        assert getattr(message, "reasoning_content", None) == THOUGHT
        chunks = [chunk.choices[0].delta for chunk in client.chat.completions.create(**asked, stream=True)]
        assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in chunks) == THOUGHT
        assert "".join(delta.content or "" for delta in chunks) == PHRASE

        how: Any = {"model": "thinker", "temperature": 0, "max_output_tokens": 80}
        thought, said = client.responses.create(**how, input=QUESTIONS[0]).output
        assert thought.type == "reasoning"
        assert [part.text for part in thought.content or ()] == [THOUGHT]
        assert said.type == "message"
        with client.responses.stream(**how, input=QUESTIONS[0]) as stream:
            deltas = [event.delta for event in stream if event.type == "response.reasoning_text.delta"]
            ended = stream.get_final_response()
        assert "".join(deltas) == THOUGHT
        assert ended.output_text == PHRASE
        assert ended.usage is not None
        assert 0 < ended.usage.output_tokens_details.reasoning_tokens < ended.usage.output_tokens

        # The next request repeats each answer with its thoughts and calls.
        turns: Any = [*HI, message.model_dump(exclude_none=True), *HI]
        again = client.chat.completions.create(**{**asked, "messages": turns})
        assert again.choices[0].message.content
        items: Any = [*HI, thought.model_dump(exclude_none=True), said.model_dump(exclude_none=True), *HI]
        assert client.responses.create(**how, input=items).status in ("completed", "incomplete")

    claudes: Any = {"model": "thinker", "max_tokens": 80, "messages": HI, "extra_body": {"temperature": 0}}
    with anthropics_client(here, "thinker", api_key=key) as claude:
        whole = claude.messages.create(**claudes)
        first, second = whole.content
        assert (first.type, second.type) == ("thinking", "text")
        assert (first.thinking, second.text) == (THOUGHT, PHRASE)
        with claude.messages.stream(**claudes) as talk:
            assert [block.type for block in talk.get_final_message().content] == ["thinking", "text"]
        turns = [*HI, {"role": "assistant", "content": whole.model_dump(exclude_none=True)["content"]}, *HI]
        assert claude.messages.create(**{**claudes, "messages": turns}).content


@pytest.mark.parametrize("stream", [False, True])
def test_anthropics_client_reads_errors(here: Here, claude: Anthropic, stream: bool) -> None:
    import anthropic

    asked: Any = {"model": "bot", "max_tokens": 4, "messages": HI, "stream": stream}
    with pytest.raises(anthropic.BadRequestError, match="thinking"):
        claude.messages.create(**asked | {"thinking": {"type": "enabled", "budget_tokens": 1024}})
    with pytest.raises(
        anthropic.BadRequestError, match="prompt is too long: more than 256 tokens > 256 maximum"
    ):
        claude.messages.create(**asked | {"messages": [{"role": "user", "content": "word " * 4000}]})
    with pytest.raises(anthropic.NotFoundError) as fault:
        claude.messages.create(**asked | {"model": "claude"})
    body: Any = fault.value.body
    assert body["error"]["type"] == "not_found_error"
    for key in ("api_key", "auth_token"):
        wrong = anthropics_client(here, "bot", **{key: "ak-wrong"})
        with wrong, pytest.raises(anthropic.AuthenticationError):
            wrong.messages.create(**asked)


def test_several_answers_are_returned(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="bot", messages=HI, n=3, temperature=0, max_tokens=5)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) == 1
    stream = client.chat.completions.create(
        model="bot", messages=HI, n=2, temperature=0, max_tokens=5, stream=True
    )
    texts = {0: "", 1: ""}
    for chunk in stream:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert set(texts.values()) == {answer.choices[0].message.content}


def test_a_truncated_answer_has_finish_reason_length(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="bot", messages=HI, temperature=0, max_completion_tokens=2)
    assert answer.choices[0].finish_reason == "length"


def test_system_messages_and_content_parts_are_accepted(client: OpenAI) -> None:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
        {"role": "assistant", "content": "Ahoy"},
        {"role": "user", "content": QUESTIONS[0]},
    ]
    answer = client.chat.completions.create(model="bot", messages=messages, max_tokens=3)
    assert answer.choices[0].message.content is not None


def test_an_invalid_key_is_refused(here: Here, bot: tuple[str, str]) -> None:
    for key in ("ak-wrong", bot[1][:-1], here.daemon.token):
        with (
            OpenAI(base_url=here.url("bot"), api_key=key, max_retries=0) as client,
            pytest.raises(openai.AuthenticationError) as fault,
        ):
            client.chat.completions.create(model="bot", messages=HI)
        assert fault.value.code == "invalid_api_key"


def test_an_unknown_endpoint_is_404(here: Here) -> None:
    with (
        OpenAI(base_url=here.url("nobody"), api_key="none", max_retries=0) as client,
        pytest.raises(openai.NotFoundError),
    ):
        client.models.list()


@pytest.mark.parametrize(
    ("asked", "param", "code"),
    [
        ({"n": 99}, "n", "invalid_value"),
        ({"temperature": 9}, "temperature", "invalid_value"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"logit_bias": {"5": 1}}, "logit_bias", "unsupported_parameter"),
        ({"extra_body": {"not_known": 1}}, "not_known", "unsupported_parameter"),
        ({"messages": [{"role": "user", "content": "word " * 4000}]}, "messages", "context_length_exceeded"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_invalid_parameters_are_refused_by_name(
    client: OpenAI, asked: dict[str, Any], param: str, code: str
) -> None:
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as fault:
            client.chat.completions.create(**{"model": "bot", "messages": HI, "stream": stream, **asked})
        assert (fault.value.param, fault.value.code) == (param, code)
        assert "/" not in str(fault.value.body)


def test_a_context_overflow_has_openais_error(client: OpenAI) -> None:
    """LiteLLM has a fault of its own for it, and a second model, and knows it by these words alone."""
    long: list[ChatCompletionMessageParam] = [{"role": "user", "content": "word " * 4000}]
    with pytest.raises(openai.BadRequestError, match="This model's maximum context length is 256 tokens"):
        client.chat.completions.create(model="bot", messages=long)


def test_other_models_and_embeddings_are_refused(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as fault:
        client.chat.completions.create(model="gpt-4o", messages=HI)
    assert fault.value.code == "model_not_found"
    with pytest.raises(
        openai.BadRequestError, match="not an embedder, so it has no embeddings"
    ) as no_embedder:
        client.embeddings.create(model="bot", input="hi")
    assert no_embedder.value.code == "unsupported_endpoint"


def more_than(count: int) -> Callable[[list[dict[str, Any]]], bool]:
    """Whether a log is longer than that."""
    return lambda log: len(log) > count


def test_a_timed_out_caller_ends_its_answer(here: Here) -> None:
    identity, key = here.make("hasty")
    with OpenAI(base_url=here.url("hasty"), api_key=key, max_retries=0) as client:
        log: list[dict[str, Any]] = []
        answered = 0
        for _ in range(20):
            try:
                client.chat.completions.create(model="hasty", messages=HI, timeout=0.3, n=8, **LONG)
            except openai.APITimeoutError:
                with contextlib.suppress(AssertionError):
                    log = here.log(identity, more_than(answered), 5)
                    break
                # Studio stood still, and had not heard of it when the caller left: nobody answered that one.
            else:
                answered += 1  # this process stood still until all of it was there
        assert log, "no caller has left before the answer was whole"
        assert {each["status"] for each in log[: len(log) - answered]} == {499}
        # Its places are free again.
        answer = client.chat.completions.create(
            model="hasty", messages=HI, temperature=0, max_tokens=24, timeout=120
        )
    assert PHRASE in (answer.choices[0].message.content or "")


def test_a_closed_stream_ends_its_answer(here: Here) -> None:
    identity, key = here.make("closed")
    with OpenAI(base_url=here.url("closed"), api_key=key, max_retries=0, timeout=120) as client:
        tried: list[object] = []
        while len(tried) < 5:
            stream = client.chat.completions.create(model="closed", messages=HI, stream=True, n=8, **LONG)
            next(iter(stream))
            stream.close()
            tried.append(stream)
            left, *_ = here.log(identity, lambda log: len(log) == len(tried))
            if left["status"] != 200:  # else this process stood still until it was whole
                break
    assert left["status"] == 499


def test_a_revoked_key_is_refused_at_once(here: Here) -> None:
    identity, key = here.make("revoked")
    (known,) = here.api("GET", f"/deployments/{identity}/keys")["keys"]
    assert known["lastUsedAt"] is None
    with OpenAI(base_url=here.url("revoked"), api_key=key, max_retries=0, timeout=120) as client:
        client.models.list()
        (known,) = here.api("GET", f"/deployments/{identity}/keys")["keys"]
        assert known["prefix"] == key[: len(known["prefix"])]
        here.api("DELETE", f"/deployments/{identity}/keys/{known['id']}")
        with pytest.raises(openai.AuthenticationError):
            client.models.list()
    with OpenAI(base_url=here.url("revoked"), api_key=key, max_retries=0) as client:
        here.api("PATCH", f"/deployments/{identity}", {"authMode": "none"})
        assert len(list(client.models.list())) == 1


def test_too_many_requests_get_retry_after(here: Here) -> None:
    _, key = here.make("busy")
    with OpenAI(base_url=here.url("busy"), api_key=key, max_retries=0) as client:

        def flood() -> None:
            for _ in range(2000):
                client.models.list()

        with pytest.raises(openai.RateLimitError) as fault:
            flood()
        assert int(fault.value.response.headers["Retry-After"]) >= 1
        # The client itself waits and tries again, which is what the header is for.
        assert len(list(client.with_options(max_retries=3).models.list())) == 1


def test_concurrent_requests_are_answered(here: Here, bot: tuple[str, str]) -> None:
    async def ask() -> list[str]:
        async with AsyncOpenAI(
            base_url=here.url("bot"), api_key=bot[1], max_retries=0, timeout=120
        ) as client:
            answers = await asyncio.gather(
                *(
                    client.chat.completions.create(model="bot", messages=HI, temperature=0, max_tokens=24)
                    for _ in range(12)
                )
            )
        return [answer.choices[0].message.content or "" for answer in answers]

    answers = asyncio.run(ask())
    assert len(set(answers)) == 1
    assert PHRASE in answers[0]


def test_a_flood_is_answered_or_rate_limited(here: Here) -> None:
    identity, key = here.make("flood")

    async def one(client: AsyncOpenAI) -> int:
        try:
            await client.chat.completions.create(model="flood", messages=HI, max_tokens=4)
        except openai.RateLimitError as fault:
            return 429 if int(fault.response.headers["Retry-After"]) >= 1 else 0
        return 200

    async def flood() -> list[int]:
        async with AsyncOpenAI(base_url=here.url("flood"), api_key=key, max_retries=0, timeout=120) as client:
            return await asyncio.gather(*(one(client) for _ in range(200)))

    answered = asyncio.run(flood())
    assert set(answered) == {200, 429}
    log = here.log(identity, lambda log: any(each["status"] == 200 for each in log))
    assert all(each["status"] in (200, 429) for each in log)
    # All its places are free again, and the playground's were never taken.
    body = {"messages": HI, "baseModel": "./models/tiny", "maxTokens": 2, "stream": False}
    assert here.api("POST", "/inference/chat", body)["choices"]


def test_requests_are_logged(here: Here) -> None:
    identity, key = here.make("kept", runRetentionMode="days", runRetentionDays=1)
    with OpenAI(base_url=here.url("kept"), api_key=key, max_retries=0, timeout=120) as client:
        answer = client.chat.completions.create(model="kept", messages=HI, temperature=0, max_tokens=24)
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="kept", messages=[])
    refused, listed = here.log(identity, lambda log: len(log) == 2)
    assert answer.usage is not None
    assert listed["promptTokens"] == answer.usage.prompt_tokens
    assert listed["completionTokens"] == answer.usage.completion_tokens
    assert (listed["status"], listed["kept"]) == (200, True)
    assert key.startswith(listed["key"])
    assert 0 < listed["firstTokenSeconds"] <= listed["seconds"]
    assert (refused["status"], refused["kept"]) == (400, False)
    said = here.api("GET", f"/deployments/{identity}/requests/{listed['id']}")["request"]
    assert said["messages"] == [{"role": "user", "content": QUESTIONS[0]}]
    assert said["answers"] == [answer.choices[0].message.content]
    assert key not in str(said)


def test_a_logged_call_becomes_a_row(here: Here) -> None:
    identity, key = here.make("traced", runRetentionMode="unlimited")
    asked: dict[str, Any] = {"model": "traced", "messages": HI, "tools": [TOOL], "max_tokens": 180, "seed": 2}
    with OpenAI(base_url=here.url("traced"), api_key=key, max_retries=0, timeout=120) as client:
        create: Any = client.chat.completions.create
        (called,) = create(**asked, tool_choice="required").choices[0].message.tool_calls
        create(**{**asked, "max_tokens": 1}, tool_choice="required")
    ids = [each["id"] for each in here.log(identity, lambda log: len(log) == 2)]
    log = [here.api("GET", f"/deployments/{identity}/requests/{each}")["request"] for each in ids[::-1]]
    rows: list[bytes] = []
    reasons: list[str] = []
    convert((LoggedRecord(each["id"], each) for each in log), rows.append, reasons.append)
    (row,) = map(json.loads, rows)
    (call,) = row["messages"][-1]["tool_calls"]
    arguments = json.loads(called.function.arguments)
    assert call["function"] == {"name": "store", "arguments": arguments}
    assert row["messages"][0] == {"role": "user", "content": QUESTIONS[0]}
    assert [tool["function"]["name"] for tool in row["tools"]] == ["store"]
    assert reasons == [f"{ids[0]}: the answer was cut off (length)"]


def test_sampling_settings_are_applied(client: OpenAI) -> None:
    answer = client.chat.completions.create(
        model="bot",
        messages=HI,
        temperature=0,
        max_tokens=24,
        stop=[" parrot"],
        logprobs=True,
        top_logprobs=2,
    )
    (choice,) = answer.choices
    assert choice.message.content == PHRASE.partition(" parrot")[0]
    assert choice.finish_reason == "stop"
    assert choice.logprobs is not None
    assert choice.logprobs.content
    assert len(choice.logprobs.content[0].top_logprobs) == 2
    drawn = [
        client.chat.completions.create(model="bot", messages=HI, temperature=2, max_tokens=8, seed=seed)
        for seed in (5, 5)
    ]
    assert drawn[0].choices[0].message.content == drawn[1].choices[0].message.content


def test_a_text_completion_is_returned(client: OpenAI) -> None:
    answer = client.completions.create(model="bot", prompt="Where is my", temperature=0, max_tokens=4)
    assert answer.object == "text_completion"
    assert answer.choices[0].text
    chunks = client.completions.create(
        model="bot", prompt="Where is my", temperature=0, max_tokens=4, stream=True
    )
    assert "".join(chunk.choices[0].text for chunk in chunks) == answer.choices[0].text


PLACE = {
    "type": "object",
    "properties": {
        "number": {"type": "integer", "minimum": 0, "maximum": 999},
        "kind": {"enum": ["parrot", "ledger"]},
    },
    "required": ["number", "kind"],
    "additionalProperties": False,
}
HELD: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {"name": "place", "schema": PLACE, "strict": True},
}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "store", "parameters": PLACE, "strict": True},
}


class Kind(BaseModel):
    """A part of what is wanted."""

    kind: Literal["parrot", "ledger"]


class Place(BaseModel):
    """As a program that uses ``parse`` says what it wants."""

    number: int = Field(ge=0, le=999)
    inner: Kind | None


def test_structured_output_fits_its_schema(client: OpenAI) -> None:
    asked: dict[str, Any] = {"model": "bot", "messages": HI, "max_tokens": 180, "response_format": HELD}
    # One of OpenAI's overloads for each way to call it; what is asked is a plain object all the same.
    create: Any = client.chat.completions.create
    answer = create(**asked, temperature=0)
    (choice,) = answer.choices
    assert choice.finish_reason == "stop"
    Draft202012Validator(PLACE).validate(json.loads(choice.message.content or ""))
    chunks = list(create(**asked, temperature=0, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == choice.message.content
    drawn = create(**asked, temperature=2, n=4, seed=3)
    assert {each.finish_reason for each in drawn.choices} == {"stop"}
    for each in drawn.choices:
        Draft202012Validator(PLACE).validate(json.loads(each.message.content or ""))
    # Of answers that are given together the rounding may differ with who came first: one by one it does not.
    first, again = (create(**asked, temperature=2, seed=3) for _ in range(2))
    assert first.choices[0].message.content == again.choices[0].message.content


def test_json_objects_are_valid_and_truncation_is_reported(client: OpenAI) -> None:
    asked: dict[str, Any] = {"model": "bot", "messages": HI, "response_format": {"type": "json_object"}}
    create: Any = client.chat.completions.create
    for seed in range(4):
        answer = create(**asked, max_tokens=60, temperature=2, seed=seed)
        (choice,) = answer.choices
        if choice.finish_reason == "stop":
            assert isinstance(json.loads(choice.message.content or ""), dict)
        else:
            assert choice.finish_reason == "length"
    cut = create(**asked, max_tokens=1, temperature=0)
    assert (cut.choices[0].finish_reason, cut.choices[0].message.content) == ("length", "{")


def test_structured_output_parses_into_a_pydantic_model(client: OpenAI) -> None:
    answer = client.chat.completions.parse(
        model="bot", messages=HI, response_format=Place, temperature=2, seed=1, max_tokens=200
    )
    assert isinstance(answer.choices[0].message.parsed, Place)
    with client.chat.completions.stream(
        model="bot", messages=HI, response_format=Place, temperature=2, seed=1, max_tokens=200
    ) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == answer.choices[0].message.parsed


def test_a_forced_tool_call_fits_its_schema(client: OpenAI) -> None:
    create: Any = client.chat.completions.create
    for choice in ("required", {"type": "function", "function": {"name": "store"}}):
        asked: dict[str, Any] = {"model": "bot", "messages": HI, "max_tokens": 180, "tools": [TOOL]}
        answer = create(**asked, tool_choice=choice, temperature=2, seed=2)
        (call,) = answer.choices[0].message.tool_calls
        assert answer.choices[0].finish_reason == "tool_calls"
        assert call.type == "function"
        assert call.function.name == "store"
        Draft202012Validator(PLACE).validate(json.loads(call.function.arguments))


def test_the_responses_call_forces_a_call_too_whole_and_streamed(client: OpenAI) -> None:
    tool: Any = {"type": "function", "name": "store", "parameters": PLACE, "strict": False}
    asked: dict[str, Any] = {"model": "bot", "input": "Hi", "max_output_tokens": 180, "tools": [tool]}
    asked |= {"tool_choice": "required", "temperature": 2, "extra_body": {"seed": 2}}
    create: Any = client.responses.create
    stream: Any = client.responses.stream
    whole = create(**asked)
    with stream(**asked) as events:
        ended = events.get_final_response()
    for answer in (whole, ended):
        (call,) = (item for item in answer.output if item.type == "function_call")
        assert call.name == "store"
        Draft202012Validator(PLACE).validate(json.loads(call.arguments))


def test_anthropics_client_gets_the_call_too_whole_and_streamed(claude: Anthropic) -> None:
    tool = {"name": "store", "input_schema": PLACE}
    asked: dict[str, Any] = {"model": "bot", "messages": HI, "max_tokens": 180, "tools": [tool]}
    asked["extra_body"] = {"seed": 2, "temperature": 1}
    create: Any = claude.messages.create
    answer = create(**asked, tool_choice={"type": "any"})
    (block,) = (each for each in answer.content if each.type == "tool_use")
    assert (answer.stop_reason, block.name) == ("tool_use", "store")
    Draft202012Validator(PLACE).validate(block.input)
    stream: Any = claude.messages.stream
    with stream(**asked, tool_choice={"type": "tool", "name": "store"}) as events:
        ended = events.get_final_message()
    (streamed,) = (each for each in ended.content if each.type == "tool_use")
    assert ended.stop_reason == "tool_use"
    Draft202012Validator(PLACE).validate(streamed.input)


ADD: dict[str, Any] = {
    "type": "object", "properties": {"n": {"type": "integer", "maximum": 9}}, "required": ["n"],
    "additionalProperties": False,
}  # fmt: skip
OTHER = {"type": "function", "function": {"name": "other", "parameters": {}}}


def _add(**more: Any) -> Any:
    return {"type": "function", "function": {"name": "add", "parameters": ADD, **more}}


@pytest.fixture(scope="module")
def caller(here: Here) -> tuple[str, str]:
    """The endpoint ``caller``, whose adapter calls ``add`` twice with a text instead of a number."""
    return here.make("caller", job=here.caller)


@pytest.fixture
def calling(here: Here, caller: tuple[str, str]) -> Iterator[Any]:
    """Asks the endpoint ``caller`` through OpenAI's client; returns the calls."""
    with OpenAI(base_url=here.url("caller"), api_key=caller[1], max_retries=0, timeout=120) as client:
        create: Any = client.chat.completions.create

        def asked(stream: bool = False, **more: Any) -> list[tuple[str, Any]]:
            body = {"model": "caller", "messages": HI, "temperature": 0, "max_tokens": 150, **more}
            if stream:
                deltas = [chunk.choices[0] for chunk in create(**body, stream=True) if chunk.choices]
                assert deltas[-1].finish_reason == "tool_calls"
                calls = [call for each in deltas for call in each.delta.tool_calls or ()]
            else:
                (choice,) = create(**body).choices
                assert choice.finish_reason == ("tool_calls" if choice.message.tool_calls else "stop")
                calls = choice.message.tool_calls or []
            return [(call.function.name, json.loads(call.function.arguments)) for call in calls]

        yield asked


@pytest.mark.parametrize("stream", [False, True])
def test_strict_tools_and_the_number_of_calls_are_enforced(calling: Any, stream: bool) -> None:
    wrong = ("add", {"n": "x"})
    assert calling(stream, tools=[_add()]) == [wrong, wrong]
    assert calling(stream, tools=[_add()], parallel_tool_calls=True) == [wrong, wrong]
    assert calling(stream, tools=[_add()], parallel_tool_calls=False) == [wrong]
    strict = calling(stream, tools=[_add(strict=True), OTHER])
    assert len(strict) > 0
    for name, arguments in (*strict, *calling(stream, tools=[_add(strict=True)], parallel_tool_calls=False)):
        assert name == "add"
        Draft202012Validator(ADD).validate(arguments)
    ((name, arguments),) = calling(stream, tools=[_add(strict=True)], parallel_tool_calls=False)
    assert name == "add"


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_choice_is_enforced(calling: Any, stream: bool) -> None:
    tools = [_add(), OTHER]
    ((name, arguments),) = calling(stream, tools=tools, tool_choice="required")
    assert name == "add"
    Draft202012Validator(ADD).validate(arguments)
    calls = calling(stream, tools=tools, tool_choice="required", parallel_tool_calls=True)
    assert len(calls) > 1
    for name, arguments in calls:
        Draft202012Validator(ADD if name == "add" else {"type": "object"}).validate(arguments)
    named = {"type": "function", "function": {"name": "other"}}
    ((name, arguments),) = calling(stream, tools=tools, tool_choice=named, temperature=1, seed=1)
    assert name == "other"
    assert isinstance(arguments, dict)


def test_no_call_is_read_where_none_may_be(calling: Any) -> None:
    assert calling(tools=[_add()], tool_choice="none") == []


def test_the_responses_call_enforces_choice_strictness_and_number(
    here: Here, caller: tuple[str, str]
) -> None:
    tool = {"type": "function", "name": "add", "parameters": ADD, "strict": True}
    asked: dict[str, Any] = {"model": "caller", "input": QUESTIONS[0], "temperature": 0, "tools": [tool]}
    with OpenAI(base_url=here.url("caller"), api_key=caller[1], max_retries=0, timeout=120) as client:
        create: Any = client.responses.create
        for more in ({}, {"tool_choice": "required"}, {"tool_choice": {"type": "function", "name": "add"}}):
            answer = create(**asked, **more, parallel_tool_calls=False, max_output_tokens=150)
            assert answer.parallel_tool_calls is False
            (call,) = answer.output
            assert (call.type, call.name) == ("function_call", "add")
            Draft202012Validator(ADD).validate(json.loads(call.arguments))
        loose = {**asked, "tools": [{**tool, "strict": False}]}
        wrong = create(**loose, parallel_tool_calls=False, max_output_tokens=150)
        assert [json.loads(call.arguments) for call in wrong.output] == [{"n": "x"}]


def test_anthropics_client_enforces_choice_strictness_and_number(here: Here, caller: tuple[str, str]) -> None:
    tool = {"name": "add", "input_schema": ADD}
    asked: dict[str, Any] = {"model": "caller", "messages": HI, "max_tokens": 150}
    asked["extra_body"] = {"temperature": 0}
    one = {"disable_parallel_tool_use": True}
    with anthropics_client(here, "caller", api_key=caller[1]) as client:
        create: Any = client.messages.create
        wrong = create(**asked, tools=[tool], tool_choice={"type": "auto", **one})
        assert [block.input for block in wrong.content] == [{"n": "x"}]
        for choice in ({"type": "any"}, {"type": "tool", "name": "add"}, {"type": "auto", **one}):
            answer = create(**asked, tools=[{**tool, "strict": True}], tool_choice=choice)
            (block,) = answer.content
            assert (answer.stop_reason, block.type, block.name) == ("tool_use", "tool_use", "add")
            Draft202012Validator(ADD).validate(block.input)
        none = create(**asked, tools=[tool], tool_choice={"type": "none"})
        assert [block.type for block in none.content] == ["text"]


@pytest.mark.parametrize("stream", [False, True])
def test_strict_tools_are_refused_where_the_syntax_of_calls_is_unknown(client: OpenAI, stream: bool) -> None:
    """The base of this endpoint has a template that writes calls in a syntax of its own."""
    create: Any = client.chat.completions.create
    with pytest.raises(openai.BadRequestError, match="tools cannot be enforced: strict is only") as fault:
        create(model="bot", messages=HI, tools=[_add(strict=True)], stream=stream, max_tokens=9)
    assert (fault.value.param, fault.value.code) == ("tools", "invalid_value")
    create(model="bot", messages=HI, tools=[_add()], parallel_tool_calls=False, max_tokens=9)


def _deep(times: int) -> Any:
    return {"type": "array", "items": _deep(times - 1)} if times else {}


@pytest.mark.parametrize(
    ("asked", "param", "reason"),
    [
        ({"uniqueItems": True}, "response_format", "uniqueItems in #"),
        ({"$ref": "http://127.0.0.1:1/schema"}, "response_format", "nothing is fetched"),
        ({"$ref": "#"}, "response_format", "refers only to itself"),
        (_deep(40), "response_format", "32 deep"),
        ({"properties": {f"p{n}": {} for n in range(5000)}}, "response_format", "1,000 schemas"),
        ({"type": "string", "pattern": "(?=a)b"}, "response_format", "look-around"),
        ({"type": "string", "pattern": "^.*a.{300}$", "maxLength": 900}, "response_format", "regex"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "response_format", "minimum"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_unsupported_schemas_are_refused_by_name(client: OpenAI, asked: Any, param: str, reason: str) -> None:
    create: Any = client.chat.completions.create
    held: dict[str, Any] = {"type": "json_schema", "json_schema": {"name": "x", "schema": asked}}
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError, match="response_format cannot be enforced") as fault:
            create(model="bot", messages=HI, stream=stream, response_format=held)
        assert (fault.value.param, fault.value.code) == (param, "invalid_value")
        assert reason in str(fault.value)


def test_an_embedder_embeds_texts_for_its_callers(here: Here) -> None:
    identity, key = here.make("finder", job=here.finder)
    with OpenAI(base_url=here.url("finder"), api_key=key, max_retries=0, timeout=120) as client:
        packed = client.embeddings.create(model="finder", input=list(QUESTIONS[:3]))  # asks for base64
        plain = client.embeddings.create(model="finder", input=QUESTIONS[:3], encoding_format="float")
        for one, other in zip(packed.data, plain.data, strict=True):
            assert one.embedding == pytest.approx(other.embedding, abs=1e-7)
        assert packed.usage.prompt_tokens == plain.usage.total_tokens > 0
        short = client.embeddings.create(
            model="finder", input="a query", dimensions=32, extra_body={"input_type": "query"}
        )
        assert len(short.data[0].embedding) == 32
        with pytest.raises(openai.BadRequestError, match="dimensions must be one of 32, 128") as unknown:
            client.embeddings.create(model="finder", input="hi", dimensions=7)
        assert unknown.value.param == "dimensions"
        with pytest.raises(openai.BadRequestError, match="This model is an embedder"):
            client.chat.completions.create(model="finder", messages=HI)
    with (
        OpenAI(base_url=here.url("finder"), api_key="wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.embeddings.create(model="finder", input="hi")
    here.log(identity, lambda found: sum(entry["call"] == "embeddings" for entry in found) >= 3)
