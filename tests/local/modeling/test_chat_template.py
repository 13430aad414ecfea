"""What of a conversation is learned, for templates of several kinds, and text from tokens as they come."""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.importorskip("jinja2")

from arkor_dev.data.rows import Row, RowMessage
from arkor_dev.local.modeling import template_limits
from arkor_dev.local.modeling.chat_template import PLAIN_TEMPLATE, ready_tokenizer, render, renderings
from arkor_dev.local.modeling.example import IGNORED
from arkor_dev.local.modeling.hermes_tools import HERMES_TOOLS
from arkor_dev.local.modeling.template_limits import KILL_SECONDS, LINUX_TICKS, MEMORY, within_limits
from arkor_dev.local.modeling.tool_calls import ToolCalls, writes_marked_calls
from arkor_dev.local.training.rows.encoding import Encoding, encode
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.resources import peak_memory, reset_peak_memory, resident_memory
from tests.local.harness import until
from tests.local.tiny_model import CHATML, HERMES, PHRASE, make_tokenizer

pytestmark = pytest.mark.engine

TALK: list[RowMessage] = [
    {"role": "system", "content": "system"},
    {"role": "user", "content": "What is a refund?"},
    {"role": "assistant", "content": PHRASE},
    {"role": "user", "content": "my parcel?"},
    {"role": "assistant", "content": "the ledger."},
]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return ready_tokenizer(make_tokenizer())


def learned(tokenizer: Any, messages: list[Any], tools: Any = ()) -> list[str]:
    found, _ = renderings(tokenizer, messages, tools)
    return [each.text[start:end] for each in found for start, end in each.spans]


def test_assistant_messages_and_end_tokens_are_learned(tokenizer: Any) -> None:
    tokenizer.chat_template = CHATML
    assert learned(tokenizer, TALK) == [f"{PHRASE}<|im_end|>", "the ledger.<|im_end|>"]


def test_an_answer_resembling_the_generation_prompt_is_learned_completely(tokenizer: Any) -> None:
    """The cue opens a thought, which this answer does not have: the "<" is the answer's own."""
    tokenizer.chat_template = CHATML.replace("<|im_start|>assistant\n", "<|im_start|>assistant\n<think>")
    assert render(tokenizer, TALK[:2], add_generation_prompt=True).endswith("assistant\n<think>")
    answer = {"role": "assistant", "content": "<b>No.</b>"}
    assert learned(tokenizer, [*TALK[:2], answer]) == ["<b>No.</b><|im_end|>"]


def test_text_after_the_last_answer_is_not_learned(tokenizer: Any) -> None:
    tokenizer.chat_template = CHATML
    assert learned(tokenizer, TALK[:4]) == [f"{PHRASE}<|im_end|>"]


def test_a_model_without_a_template_gets_a_default() -> None:
    bare = make_tokenizer()
    bare.chat_template = None
    bare.pad_token = None
    tokenizer = ready_tokenizer(bare)
    assert tokenizer.pad_token == tokenizer.eos_token
    assert tokenizer.chat_template == HERMES_TOOLS + PLAIN_TEMPLATE
    assert learned(tokenizer, TALK) == [f" {PHRASE}<|im_end|>", " the ledger.<|im_end|>"]


CALLED = [
    {"role": "user", "content": "Where are A and B?"},
    {
        "role": "assistant",
        "content": "Looking.",
        "tool_calls": [
            {"type": "function", "function": {"name": "find", "arguments": {"id": name}}} for name in "AB"
        ],
    },
    {"role": "tool", "content": "A is here."},
    {"role": "tool", "content": "B is there."},
    {"role": "assistant", "content": "Here and there."},
]
FIND = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}


@pytest.mark.parametrize("template", [CHATML, None])
def test_a_template_without_tools_writes_them_in_the_syntax_of_hermes(template: str | None) -> None:
    bare = make_tokenizer()
    bare.chat_template = template
    tokenizer = ready_tokenizer(bare)
    assert writes_marked_calls(tokenizer)
    text = render(tokenizer, CALLED, False, [FIND])
    system, _, rest = text.partition("Where are A and B?")
    assert '{"name": "find", "parameters": {"type": "object"}}' in system
    assert rest.count("<tool_call>") == 2
    assert "<tool_response>\nA is here.\n</tool_response>\n<tool_response>\nB is there." in rest
    answers = learned(tokenizer, CALLED, [FIND])
    names, parsed = {"find"}, []
    for answer in answers:
        calls = ToolCalls(names)
        said = calls.push(answer.removesuffix("<|im_end|>"))
        held, found = calls.end()
        parsed.append(((said + held).strip(), [json.loads(call["function"]["arguments"]) for call in found]))
    assert parsed == [("Looking.", [{"id": "A"}, {"id": "B"}]), ("Here and there.", [])]
    assert not any("is here" in answer for answer in answers), "a result is never learned"


def test_a_conversation_without_tools_is_the_templates_own() -> None:
    bare = make_tokenizer()
    bare.chat_template = CHATML
    ready = make_tokenizer()
    ready.chat_template = CHATML
    tokenizer = ready_tokenizer(ready)
    assert render(tokenizer, TALK, True) == render(bare, TALK, True)


def test_tools_follow_a_system_message_of_the_conversation() -> None:
    bare = make_tokenizer()
    bare.chat_template = CHATML
    text = render(ready_tokenizer(bare), [{"role": "system", "content": "Be brief."}, *CALLED], False, [FIND])
    assert text.count("<|im_start|>system") == 1
    assert text.index("Be brief.") < text.index('"find"') < text.index("<|im_start|>user")


NO_SYSTEM = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{{ m.content }}{% endfor %}"
)


@pytest.mark.parametrize("template", [HERMES, NO_SYSTEM])
def test_a_template_with_calls_or_without_system_messages_stays_as_it_is(template: str) -> None:
    bare = make_tokenizer()
    bare.chat_template = template
    assert ready_tokenizer(bare).chat_template == template


TOOLED = (
    "{% if tools %}{% for t in tools %}[{{ t.name }}]{% endfor %}{% endif %}"
    "{% for m in messages %}{{ m.role }}:{{ m.content }}"
    "{% for c in m.tool_calls or [] %}<{{ c.function.name }} {{ c.function.arguments.x }}>{% endfor %};"
    "{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
)


LLAVA = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>' }}{% endfor %}"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] + ' ' }}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


def test_a_template_for_content_parts_gets_parts() -> None:
    """LLaVA's drops a plain string. What is saved with it takes both."""
    tokenizer = make_tokenizer()
    tokenizer.chat_template = LLAVA
    ready_tokenizer(tokenizer)
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ahoy"}]
    assert render(tokenizer, messages, add_generation_prompt=False) == "USER: Hi ASSISTANT: Ahoy "
    parts = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    assert render(tokenizer, parts, add_generation_prompt=True) == "USER: Hi ASSISTANT:"
    before = tokenizer.chat_template
    assert ready_tokenizer(tokenizer).chat_template == before


def test_tools_are_rendered_and_calls_learned(tokenizer: Any) -> None:
    tokenizer.chat_template = TOOLED
    call = {"type": "function", "function": {"name": "look", "arguments": {"x": 1}}}
    talk: list[Any] = [TALK[1], {"role": "assistant", "content": "", "tool_calls": [call]}]
    row = Row(talk, "d, line 1", tools=[{"name": "look"}])
    (found,), _ = encode(tokenizer, row, Encoding(512))
    assert tokenizer.decode(found.ids) == "[look]user:What is a refund?;assistant:<look 1>;"
    assert tokenizer.decode([label for label in found.labels if label != IGNORED]) == "<look 1>;"


def test_a_dropped_call_is_not_learned(tokenizer: Any) -> None:
    tokenizer.chat_template = CHATML
    call = {"type": "function", "function": {"name": "look", "arguments": {"x": 1}}}
    asks: list[Any] = [TALK[1], {"role": "assistant", "content": "", "tool_calls": [call]}]
    assert learned(tokenizer, [*asks, {"role": "tool", "content": "1"}, TALK[2]]) == [f"{PHRASE}<|im_end|>"]
    with pytest.raises(JobFailure, match="d, line 1: the model's chat template drops its tool calls"):
        encode(tokenizer, Row(asks, "d, line 1"), Encoding(512))


@pytest.mark.parametrize("responses_only", [True, False])
def test_a_plain_text_and_its_end_are_learned(tokenizer: Any, responses_only: bool) -> None:
    (found,), _ = encode(tokenizer, Row([], "d, line 1", text="the ledger."), Encoding(512, responses_only))
    assert found.labels == found.ids
    assert tokenizer.decode(found.ids) == f"the ledger.{tokenizer.eos_token}"
    ended = Row([], "d, line 1", text=f"the ledger.{tokenizer.eos_token}")
    assert encode(tokenizer, ended, Encoding(512, responses_only))[0] == [found]


def test_labels_are_the_completion_tokens_only(tokenizer: Any) -> None:
    tokenizer.chat_template = CHATML
    (example,), cut = encode(tokenizer, Row(TALK, "d, line 1"), Encoding(512))
    assert not cut
    assert len(example.ids) == len(example.labels)
    assert all(label in (IGNORED, token) for token, label in zip(example.ids, example.labels, strict=True))
    taught = tokenizer.decode([label for label in example.labels if label != IGNORED])
    assert taught == f"{PHRASE}<|im_end|>the ledger.<|im_end|>"
    (last,), _ = encode(tokenizer, Row(TALK, "d, line 1"), Encoding(512, last_only=True))
    assert tokenizer.decode([label for label in last.labels if label != IGNORED]) == "the ledger.<|im_end|>"
    (everything,), _ = encode(tokenizer, Row(TALK, "d, line 1"), Encoding(512, responses_only=False))
    assert everything.labels == everything.ids == example.ids


def test_a_long_row_is_truncated_or_refused(tokenizer: Any) -> None:
    tokenizer.chat_template = CHATML
    (whole,), _ = encode(tokenizer, Row(TALK, "d, line 1"), Encoding(512))
    first = next(place for place, label in enumerate(whole.labels) if label != IGNORED)
    (example,), cut = encode(tokenizer, Row(TALK, "d, line 1"), Encoding(first + 1))
    assert cut
    assert (example.ids, example.labels) == (whole.ids[: first + 1], whole.labels[: first + 1])
    with pytest.raises(
        JobFailure, match=rf"d, line 1: {len(whole.ids)} tokens long, and max_length {first} truncates"
    ):
        encode(tokenizer, Row(TALK, "d, line 1"), Encoding(first))


@pytest.mark.skipif(sys.platform != "linux", reason="counts ticks on Linux alone")
def test_the_limit_on_processor_time_counts_as_the_system_does(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In ticks, which after a long training on a busy machine are far ahead of what ``getrusage`` says."""
    ticks, limits = time.clock_gettime(LINUX_TICKS), []
    assert 0 < ticks < 2 * time.process_time() + 1
    monkeypatch.setattr(time, "clock_gettime", lambda clock: {LINUX_TICKS: 10_000.0}[clock])

    def note() -> str:
        limits.append(resource.getrlimit(resource.RLIMIT_CPU)[0])
        return "text"

    before = resource.getrlimit(resource.RLIMIT_CPU)
    assert within_limits(note) == "text"
    assert limits == [10_000 + 1 + KILL_SECONDS]
    assert resource.getrlimit(resource.RLIMIT_CPU) == before


def test_renderings_in_several_threads_have_their_own_time_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread watches them all, and ends when nothing is rendered."""
    monkeypatch.setattr(template_limits, "LOOK_SECONDS", 0.02)

    def compute(seconds: float) -> None:
        # A frame of its own, as a template has. In Python 3.13 the jump back of a loop, where an asynchronous
        # exception is raised, is outside the `with` and `try` of its own frame.
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass

    def render_for(seconds: float) -> str:
        try:
            with template_limits._watchdog.limit(0.1):
                compute(seconds)
                return "rendered"
        except template_limits._TimeUpError:
            return "time is up"

    def watching() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "template limits"]

    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(render_for, (30, 0, 30))) == ["time is up", "rendered", "time is up"]
    assert len(watching()) <= 1
    until(lambda: not watching())
    assert render_for(30) == "time is up"


def test_an_exception_of_the_template_is_reported(tokenizer: Any) -> None:
    tokenizer.chat_template = "{{ raise_exception('only user and assistant') }}"
    with pytest.raises(
        JobFailure,
        match="d, line 9: The model's chat template rejects the conversation: only user and assistant",
    ):
        encode(tokenizer, Row(TALK, "d, line 9"), Encoding(512))


DOUBLED = "{% set n = namespace(x='xy') %}{% for a in range(40) %}{% set n.x = n.x ~ n.x %}{% endfor %}"
FILLING = {
    "a list times a number": "{{ ([0] * 2000000000)|length }}",
    "a text times a number, in a constant": "{{ 'x' * 2000000000 }}",
    "a format's width": "{{ ('%2000000000d' % 1)|length }}",
    "a filter's width": "{{ ('x'|center(2000000000))|length }}",
    "a method's width": "{{ 'x'.ljust(messages|length * 2000000000)|length }}",
    "a format method's width": "{{ '{:2000000000}'.format(1)|length }}",
    "replacing": "{{ (('x' * 1000000).replace('x', 'y' * 10000))|length }}",
    "joining": "{{ ((['x'] * 10000)|join('y' * 1000000))|length }}",
    "a text joined to itself": DOUBLED,
}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count no memory")
@pytest.mark.parametrize("name", FILLING)
def test_a_template_that_exhausts_memory_is_stopped(tokenizer: Any, name: str) -> None:
    tokenizer.chat_template = FILLING[name]
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    reset_peak_memory()
    before = resident_memory()
    # Doubling writes page after page: on a busy machine the limit of time ends it first.
    ended = (
        "needs more than 512 MiB|takes longer than (3 s|a few seconds)"
        if FILLING[name] is DOUBLED
        else "needs more than 512 MiB"
    )
    with pytest.raises(JobFailure, match=f"chat template ({ended})"):
        render(tokenizer, TALK, add_generation_prompt=True)
    assert peak_memory() < before + 1.1 * MEMORY
    assert resource.getrlimit(resource.RLIMIT_DATA) == limits
