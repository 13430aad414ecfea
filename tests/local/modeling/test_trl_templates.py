"""Which tokens are learned, against TRL's labels, for every chat template that TRL has a training form of.

TRL marks the answers in templates of its own; here they are found in the model's template as it is.
"""

from __future__ import annotations

from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from arkor_dev.data.rows import Row
from arkor_dev.local.modeling.chat_template import render, with_arguments
from arkor_dev.local.modeling.example import IGNORED
from arkor_dev.local.training.rows.encoding import Encoding, encode
from arkor_dev.local.workers.errors import JobFailure
from tests.local.tiny_model import make_tokenizer

FOUND = find_spec("trl")  # its files are read: importing it would take seconds
FOLDER = Path((FOUND and FOUND.origin) or "none").parent / "chat_templates"
pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.skipif(not FOLDER.is_dir(), reason="TRL is not installed"),
]
CALL = {"type": "function", "function": {"name": "look", "arguments": {"x": 1}}}
PARAMETERS = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
TOOL = {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": PARAMETERS}}


def turn(role: str, content: str, **more: Any) -> Any:
    return {"role": role, "content": content, **more}


CHAT = [
    turn("user", "What is a refund?"),
    turn("assistant", "One answer."),
    turn("user", "my parcel?"),
    turn("assistant", "<b>Two</b> answers."),
    turn("user", "this invoice?"),
    turn("assistant", "the ledger."),
]
CALLS = [
    turn("user", "my parcel?"),
    turn("assistant", "", tool_calls=[CALL]),
    turn("tool", "found", name="look"),
    turn("assistant", "One answer."),
    turn("user", "this invoice?"),
    turn("assistant", "the ledger."),
]
REFUSED = {
    "deepseekv3": "arguments of a call have to be text",
    "idefics3": "a content has to be a list",
    "llava_next": "a content has to be a list",
    "smolvlm": "a content has to be a list",
    "diffusion_gemma": "what invites the answer to a result is not what stands before one in the history",
}
"""Templates, and why a talk with calls (or, of a list, any) is not compared."""
NO_TOOLS = {"cohere", "cohere2", "gemma", "gemma3"}
"""Templates that refuse a talk with results of tools."""
END_OF_THEIRS = {"glm4moe": ("<|user|>", "<|observation|>"), "gptoss": ("<|end|>",)}
"""Marks that they teach instead: of the turn that follows, or that an earlier answer is stored with."""
END_OF_OURS = {"gptoss": ("<|return|>",)}


def runs(tokenizer: Any, ids: list[int], learned: list[bool]) -> list[str]:
    """The texts of the tokens that are learned, one of each stretch."""
    pairs = groupby(zip(ids, learned, strict=True), lambda pair: pair[1])
    return [tokenizer.decode([token for token, _ in run]) for is_learned, run in pairs if is_learned]


def without(text: str, ends: tuple[str, ...]) -> str:
    for end in ends:
        text = text.rstrip().removesuffix(end)
    return text.rstrip()


def labels_of_trl(tokenizer: Any, talk: list[Any], tools: list[Any]) -> list[str]:
    coded = tokenizer.apply_chat_template(
        talk, tools=tools or None, return_dict=True, return_assistant_tokens_mask=True
    )
    return runs(tokenizer, coded["input_ids"], [bool(each) for each in coded["assistant_masks"]])


def our_labels(tokenizer: Any, talk: list[Any], tools: list[Any]) -> list[str]:
    examples, _ = encode(tokenizer, Row(talk, "d, line 1", tools=tools), Encoding(10_000))
    return [
        text
        for example in examples
        for text in runs(tokenizer, example.ids, [label != IGNORED for label in example.labels])
    ]


def test_the_answers_learned_are_those_of_trl() -> None:
    tokenizer = make_tokenizer()
    compared = 0
    for path in sorted(FOLDER.glob("*_training.jinja")):
        name = path.name.removesuffix("_training.jinja")
        ours_end, theirs_end = END_OF_OURS.get(name, ()), END_OF_THEIRS.get(name, ())
        for talk, tools in ((CHAT, []), (CALLS, [TOOL])):
            if "list" in REFUSED.get(name, "") or (tools and (name in REFUSED or name in NO_TOOLS)):
                continue
            tokenizer.chat_template = path.read_text()
            theirs = labels_of_trl(tokenizer, talk, tools)
            tokenizer.chat_template = (FOLDER / f"{name}.jinja").read_text()
            ours = our_labels(tokenizer, talk, tools)
            places = [place for place, each in enumerate(talk) if each["role"] == "assistant"]
            if tools and "look" not in theirs[0]:  # the template drops the call: they teach a bare end mark
                theirs, places = theirs[1:], places[1:]
            assert len(ours) == len(theirs) == len(places), name
            for place, of_trl in zip(places, theirs, strict=True):
                wanted = without(of_trl, (*ours_end, *theirs_end))
                found = next(each for each in ours if wanted.endswith(without(each, ours_end)))
                ours.remove(found)
                # They may count a part of what invites the answer to it as well.
                before = wanted.removesuffix(without(found, ours_end)).strip()
                assert (
                    before in render(tokenizer, talk[:place], add_generation_prompt=True, tools=tools)[-80:]
                ), (name, before)
                compared += 1
    assert compared > 120


def thinking(name: str, thoughts: str, answer: str) -> Any:
    """An answer with thoughts, in the form that a template reads."""
    match name:
        case "qwen3":
            return turn("assistant", answer, reasoning_content=thoughts)
        case "gptoss":
            return turn("assistant", answer, thinking=thoughts)
    return turn("assistant", f"<think>\n{thoughts}\n</think>\n\n{answer}")


@pytest.mark.parametrize("name", ["qwen3", "gptoss", "deepseek_r1_distill"])
def test_the_thoughts_learned_are_those_of_trl(name: str) -> None:
    """TRL has them in its training templates, also where the model's own drops them. There, gpt-oss has none
    in the history, so TRL teaches its earlier answers without thoughts.
    """
    talk = [
        CHAT[0],
        thinking(name, "Is the parcel lost?", "One answer."),
        CHAT[2],
        thinking(name, "The ledger has it.", "the ledger."),
    ]
    tokenizer = make_tokenizer()
    tokenizer.chat_template = (FOLDER / f"{name}_training.jinja").read_text()
    theirs = labels_of_trl(tokenizer, talk, [])
    tokenizer.chat_template = (FOLDER / f"{name}.jinja").read_text()
    ours = our_labels(tokenizer, talk, [])
    assert len(ours) == len(theirs) == 2
    for place, (found, of_trl) in enumerate(zip(ours, theirs, strict=True)):
        cue = render(tokenizer, talk[: 2 * place + 1], add_generation_prompt=True)
        if name == "gptoss" and place == 0:
            assert of_trl == "<|start|>assistant<|channel|>final<|message|>One answer.<|end|>"
            assert "<|channel|>analysis<|message|>Is the parcel lost?<|end|>" in found
            continue
        before, of_ours, rest = of_trl.rstrip().rpartition(found.rstrip())
        assert of_ours
        assert not rest
        assert cue.endswith(before)  # they may count a part of the cue as well
        assert talk[2 * place + 1].get("thinking", "the ") in found


@pytest.mark.parametrize("name", ["qwen3", "gptoss", "deepseek_r1_distill"])
def test_an_answer_is_learned_after_the_prompt_of_a_chat(name: str) -> None:
    """Earlier thoughts are dropped there, so each answer has an example of its own."""
    talk = [
        CHAT[0],
        thinking(name, "Is the parcel lost?", "One answer."),
        CHAT[2],
        thinking(name, "The ledger has it.", "the ledger."),
    ]
    tokenizer = make_tokenizer()
    tokenizer.chat_template = (FOLDER / f"{name}.jinja").read_text()
    examples, _ = encode(tokenizer, Row(talk, "d, line 1"), Encoding(10_000))
    assert len(examples) == 2
    for example, turns in zip(examples, (1, 3), strict=True):
        first = next(at for at, label in enumerate(example.labels) if label != IGNORED)
        prompt = tokenizer.decode(example.ids[:first])
        assert prompt == render(tokenizer, talk[:turns], add_generation_prompt=True)
        assert "Is the parcel lost?" not in prompt


LEARNED = {
    "qwen3": ("<think>\nWhy?\n</think>\n\n", "Yes.<|im_end|>"),
    "gptoss": (
        "<|channel|>analysis<|message|>Why?<|end|>",
        "<|start|>assistant<|channel|>final<|message|>Yes.<|return|>",
    ),
    "deepseek_r1_distill": ("Why?\n</think>\n\n", "Yes.<\uff5cend\u2581of\u2581sentence\uff5c>"),
}
"""What an answer consists of, by its template: its thoughts and the rest."""


@pytest.mark.parametrize("name", LEARNED)
def test_thoughts_and_answer_can_be_learned_alone(name: str) -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = (FOLDER / f"{name}.jinja").read_text()
    row = Row([CHAT[0], thinking(name, "Why?", "Yes.")], "d, line 1")
    thoughts, answer = LEARNED[name]

    def learned(**which: Any) -> str:
        ((example,), _) = encode(tokenizer, row, Encoding(10_000, **which))
        (text,) = runs(tokenizer, example.ids, [label != IGNORED for label in example.labels])
        return text.rstrip("\n")

    assert learned() == learned(empty_thoughts=False) == thoughts + answer
    # A token of this tokenizer may join the end of the thoughts with the line breaks after it.
    assert learned(thought_weight=0) == answer
    assert thoughts.startswith(learned(answer_weight=0).rstrip())
    assert learned(answer_weight=0).startswith(thoughts.rstrip())


@pytest.mark.parametrize("name", LEARNED)
def test_thoughts_and_answer_have_their_weights(name: str) -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = (FOLDER / f"{name}.jinja").read_text()
    row = Row([CHAT[0], thinking(name, "Why?", "Yes.")], "d, line 1")
    ((example,), _) = encode(tokenizer, row, Encoding(10_000, thought_weight=0.5, answer_weight=2))
    assert example.weights
    weighted = {
        weight: tokenizer.decode(
            [token for token, own in zip(example.ids, example.weights, strict=True) if own == weight]
        )
        for weight in (0.25, 1)
    }
    thoughts, answer = LEARNED[name]
    assert weighted[0.25].rstrip() == thoughts.rstrip()
    assert weighted[1].rstrip() == answer
    in_thoughts, after = (example.weights.count(weight) for weight in (0.25, 1))
    assert example.weight == 0.25 * in_thoughts + after
    assert example.learned == in_thoughts + after
    plain = encode(tokenizer, row, Encoding(10_000))[0][0]
    assert (plain.ids, plain.labels, plain.weights) == (example.ids, example.labels, None)


def test_empty_thoughts_are_not_learned_if_asked_for() -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = (FOLDER / "qwen3.jinja").read_text()
    row = Row([CHAT[0], turn("assistant", "Yes.")], "d, line 1")

    def example(template: Any, **which: Any) -> Any:
        return encode(template, row, Encoding(10_000, **which))[0][0]

    everything, non_empty = example(tokenizer), example(tokenizer, empty_thoughts=False)
    assert our_labels(tokenizer, row.messages, []) == ["<think>\n\n</think>\n\nYes.<|im_end|>"]
    # The example is then that of a prompt that says not to think.
    assert non_empty == example(with_arguments(tokenizer, {"enable_thinking": False}))
    assert non_empty.ids == everything.ids
    assert non_empty.learned < everything.learned
    assert example(tokenizer, thought_weight=3.0, empty_thoughts=False).labels == non_empty.labels
    with pytest.raises(JobFailure, match=r"d, line 1: has no thoughts to learn, and answer_weight is 0"):
        example(tokenizer, answer_weight=0, empty_thoughts=False)


@pytest.mark.parametrize("value", [True, False])
def test_template_arguments_can_be_baked_in(value: bool) -> None:
    """Also where the caller of a file that was written with them passes others."""
    tokenizer = make_tokenizer()
    tokenizer.chat_template = (FOLDER / "qwen3.jinja").read_text()
    set_up = with_arguments(tokenizer, {"enable_thinking": value})
    given: dict[str, Any] = {"tokenize": False, "add_generation_prompt": True}
    wanted, other = (
        tokenizer.apply_chat_template(CHAT[:1], enable_thinking=each, **given) for each in (value, not value)
    )
    assert wanted != other
    assert render(set_up, CHAT[:1], add_generation_prompt=True) == wanted
    assert set_up.apply_chat_template(CHAT[:1], enable_thinking=not value, **given) == other
    assert our_labels(set_up, CHAT, []) == [
        text.removeprefix("<think>\n\n</think>\n\n") if not value else text
        for text in our_labels(tokenizer, CHAT, [])
    ]
    both = make_tokenizer()
    both.chat_template = {"default": tokenizer.chat_template}
    assert with_arguments(both, {"enable_thinking": value}).chat_template["default"] == set_up.chat_template
    assert with_arguments(both, {}) is both
