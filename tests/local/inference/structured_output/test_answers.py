"""Answers that have to fit a schema, of a true engine: beside others, drawn with a seed, cut, and called."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("numpy")
pytest.importorskip("llguidance")

from jsonschema import Draft202012Validator

from arkor_dev.local.inference.structured_output.request import OutputFormat, format_of
from arkor_dev.local.workers.errors import JobFailure
from tests.local.cpu_kernels.models import SIZES
from tests.local.inference.asking import Asking, Told, ask
from tests.local.tiny_model import OWN_SYNTAX, QUESTIONS, make_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.conftest import Trained

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
PLACE = {
    "type": "object",
    "properties": {
        "street": {"type": "string", "maxLength": 8},
        "number": {"type": "integer", "minimum": 0, "maximum": 999},
    },
    "required": ["street", "number"],
    "additionalProperties": False,
}
CHOICE = {"type": "object", "properties": {"kind": {"enum": ["parrot", "ledger"]}}, "required": ["kind"]}
LIST = {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 3}
SCHEMAS = [PLACE, {**CHOICE, "additionalProperties": False}, LIST]
HOT = {"temperature": 1.5, "top_p": 0.98, "max_tokens": 200}


def held(schema: Any) -> dict[str, Any]:
    """The question's field for an answer that fits ``schema``."""
    told = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    found = format_of({"responseFormat": told})
    assert found
    return {"format": found}


def is_valid(told: Told, schema: Any) -> bool:
    assert not told.error
    assert told.done.reason == "stop"
    return not list(Draft202012Validator(schema).iter_errors(json.loads(told.text)))


@pytest.fixture(autouse=True)
def plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights in float32 on one thread: rounding hardly differs with who is answered beside it."""
    import torch

    from arkor_dev.local.inference import transformers_engine as engine_module
    from arkor_dev.local.inference.answer_speed import ComputePlan

    monkeypatch.setattr(engine_module, "fastest_plan", lambda *_: ComputePlan(torch.float32, False, 1, 1))


@pytest.mark.numeric
def test_several_schemas_and_free_answers_run_concurrently(trained: Trained, tiny: Path) -> None:
    adapter = trained.data / "jobs" / trained.job / "final"
    alone = Asking()
    free, done = alone.answer(ask(tiny, adapter))
    drawn, _ = alone.answer(ask(tiny, adapter, **HOT, seed=3))
    held_alone = [
        alone.answer(ask(tiny, adapter, **HOT, seed=seed, **held(schema)))[0]
        for seed, schema in enumerate(SCHEMAS)
    ]
    asking = Asking()
    told = [
        asking.ask(ask(tiny, adapter, **HOT, seed=seed, **held(schema)))
        for seed, schema in enumerate(SCHEMAS)
    ]
    others = [asking.ask(ask(tiny, adapter)), asking.ask(ask(tiny, adapter, **HOT, seed=3))]
    asking.finish(*told, *others)
    assert [each.text for each in others] == [free, drawn]
    assert others[0].done.completion_tokens == done.completion_tokens
    for each, schema, by_itself in zip(told, SCHEMAS, held_alone, strict=True):
        assert is_valid(each, schema), each.text
        assert each.text == by_itself


def test_seed_and_prefix_cache_give_the_same_structured_answer(trained: Trained, tiny: Path) -> None:
    asking = Asking()
    # Long enough to be remembered.
    told = [{"role": "user", "content": " ".join(QUESTIONS[:5])}]
    question = ask(tiny, None, **{**HOT, "max_tokens": 120}, seed=9, messages=told, **held(PLACE))
    first, done = asking.answer(question)
    again, known = asking.answer(question)
    assert again == first
    assert done.cached_tokens == 0 < known.cached_tokens
    assert {
        asking.answer(replace(question, sampling=replace(question.sampling, seed=seed)))[0]
        for seed in range(5)
    } != {first}


def test_sampling_settings_apply_within_a_schema(tiny: Path) -> None:
    asking = Asking()
    likeliest = asking.answer(ask(tiny, None, max_tokens=200, **held(PLACE)))[0]
    assert asking.answer(ask(tiny, None, **{**HOT, "top_k": 1}, **held(PLACE)))[0] == likeliest
    for more in ({"top_k": 2}, {"min_p": 0.5}, {"repetition": 5.0}, {"frequency": 2.0}):
        told = asking.ask(ask(tiny, None, **HOT, **more, seed=1, logprobs=2, **held(PLACE)))
        asking.finish(told)
        assert is_valid(told, PLACE), told.text
        assert len(told.tokens) == told.done.completion_tokens


def test_a_truncated_structured_answer_says_so(tiny: Path) -> None:
    asking = Asking()
    text, done = asking.answer(ask(tiny, None, max_tokens=3, **held(PLACE)))
    assert (done.reason, done.completion_tokens) == ("length", 3)
    assert text.startswith("{")
    text, done = asking.answer(ask(tiny, None, max_tokens=200, **held({"const": [True]})))
    # Nothing can follow the last bracket, so no token is spent on an end.
    assert (json.loads(text), done.reason) == ([True], "stop")
    exactly = done.completion_tokens
    again, done = asking.answer(ask(tiny, None, max_tokens=exactly, **held({"const": [True]})))
    assert (again, done.reason) == (text, "stop")


def test_stop_texts_and_stopping_end_a_structured_answer(tiny: Path) -> None:
    asking = Asking()
    text, done = asking.answer(ask(tiny, None, max_tokens=200, stop=['"street"'], **held(PLACE)))
    assert '"street"' not in text
    assert done.reason == "stop"
    told = asking.ask(ask(tiny, None, max_tokens=200, **held(PLACE)))
    asking.turn(3)
    told.stop.set()
    asking.turn()
    assert told.done.reason == "cancelled"
    assert not asking.engine._batches


def test_a_forced_tool_call_is_made(tiny: Path, tmp_path: Path) -> None:
    tiny = shutil.copytree(tiny, tmp_path / "tiny")
    (tiny / "chat_template.jinja").write_text(OWN_SYNTAX)
    city = {"type": "object", "properties": {"city": {"enum": ["Bern", "Basel"]}}, "required": ["city"]}
    tools = [
        {
            "type": "function",
            "function": {"name": "weather", "parameters": {**city, "additionalProperties": False}},
        },
        {"type": "function", "function": {"name": "clock"}},
    ]
    named = {"type": "function", "function": {"name": "weather"}}
    asking = Asking()
    # Which of the two it calls is left to it then, and the clock may be asked any text, also an endless one.
    for choice, seeds in ((named, (2,)), ("required", range(2, 12))):
        found = format_of({"tools": tools, "toolChoice": choice})
        assert found
        for seed in seeds:
            told = asking.ask(ask(tiny, None, **HOT, seed=seed, tools=tools, format=found))
            asking.finish(told)
            if told.done.reason != "length":
                break
        assert (told.text, told.done.reason) == ("", "tool_calls"), (told.text, told.done)
        (call,) = told.done.tool_calls
        given = json.loads(call["function"]["arguments"])
        assert call["function"]["name"] in ("weather", "clock")
        assert call["function"]["name"] == "clock" or given["city"] in ("Bern", "Basel")


def test_a_schema_error_fails_only_its_answer(tiny: Path) -> None:
    asking = Asking()
    wrong = {"format": OutputFormat('{"type": "string", "pattern": "(?=a)"}', "responseFormat")}
    told, other = asking.ask(ask(tiny, None, **wrong)), asking.ask(ask(tiny, None, **HOT, **held(LIST)))
    asking.finish(told, other)
    assert told.error.startswith("responseFormat cannot be enforced: ")
    assert is_valid(other, LIST)
    with pytest.raises(JobFailure, match="responseFormat cannot be enforced"):
        asking.answer(ask(tiny, None, **wrong))
    assert not asking.engine._batches


def test_structured_output_works_with_recurrent_models(tiny: Path, tmp_path: Path) -> None:
    import torch
    import transformers

    tokenizer = make_tokenizer()
    torch.manual_seed(1)
    # More rows than the tokenizer has tokens, as many models have.
    sizes = {**SIZES, "vocab_size": len(tokenizer) + 40, "max_position_embeddings": 256, "state_size": 8}
    transformers.AutoModelForCausalLM.from_config(transformers.MambaConfig(**sizes)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    asking = Asking()
    # Each model has its own tokens, and one's are never taken for another's.
    for base in (tiny, tmp_path, tiny):
        told = asking.ask(ask(base, None, **HOT, seed=4, **held(LIST)))
        asking.finish(told)
        assert is_valid(told, LIST)
        assert asking.loop._cached_vocabulary
        assert asking.loop._cached_vocabulary.tokenizer is asking.engine.tokenizer
