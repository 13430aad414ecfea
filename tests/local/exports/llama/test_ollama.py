"""Modelfiles: a template is taken apart, said in Ollama's language, and what it would write is compared."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("transformers")

from arkor_dev.local.exports.llama import ollama
from arkor_dev.local.exports.template_checks import CONVERSATIONS
from arkor_dev.local.modeling.chat_template import PLAIN_TEMPLATE, render
from arkor_dev.local.workers.errors import JobFailure
from tests.local.other_models import QWEN_TEMPLATE, STARTED_TEMPLATE, tokenizer
from tests.local.tiny_model import CHATML

pytestmark = pytest.mark.engine

SMOLLM = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}"
    "{% endif %}<start>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}</s>\n"
    "{% endfor %}{% if add_generation_prompt %}<start>model\n{% endif %}"
)


def made(template: str) -> Any:
    marks = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "[[stop]]"]
    return tokenizer(marks, template, bos_token="<s>", eos_token="</s>", pad_token="</s>")


@pytest.mark.parametrize(
    ("template", "default"),
    [
        (CHATML, ""),
        (SMOLLM, "You are a helpful AI assistant named SmolLM"),
        (QWEN_TEMPLATE, "You are a parrot."),
        (STARTED_TEMPLATE, ""),
        (PLAIN_TEMPLATE, ""),
    ],
)
def test_the_ollama_template_renders_like_the_chat_template(template: str, default: str) -> None:
    mine = made(template)
    ends = [mine.eos_token_id]
    parts = ollama.parts_of(mine, ends)
    assert parts.default == default
    text = ollama.modelfile(parts, adds_start="", context=256)
    for messages in CONVERSATIONS:
        assert ollama.render_modelfile(text, messages) == render(mine, messages, add_generation_prompt=True)
    assert ollama.faults(text, mine, ends, CONVERSATIONS, adds_start="") == []
    assert 'PARAMETER stop "</s>"' in text
    assert "PARAMETER num_ctx 256" in text


def test_the_start_token_is_not_written_twice() -> None:
    mine = made(STARTED_TEMPLATE)
    parts = ollama.parts_of(mine, [mine.eos_token_id])
    text = ollama.modelfile(parts, adds_start="<s>", context=256)
    assert "<s>" not in ollama.render_modelfile(text, CONVERSATIONS[0])
    assert ollama.faults(text, mine, [mine.eos_token_id], CONVERSATIONS, adds_start="<s>") == []
    doubled = ollama.modelfile(parts, adds_start="", context=256)
    assert "differently" in ollama.faults(doubled, mine, [], CONVERSATIONS, adds_start="<s>")[0]
    assert "differently" in ollama.faults(text, mine, [], CONVERSATIONS, adds_start="")[0]


def test_template_syntax_in_texts_is_escaped() -> None:
    mine = made("{% for m in messages %}{{ '{{ .System }}' }} {{ m.role }}: {{ m.content }}\n{% endfor %}")
    parts = ollama.parts_of(mine, [])
    text = ollama.modelfile(parts, adds_start="", context=256)
    assert '{{ "{{ .System }} user: " }}' in text
    assert ollama.render_modelfile(text, CONVERSATIONS[0]) == render(
        mine, CONVERSATIONS[0], add_generation_prompt=True
    )


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}{{ m.content | upper }}{% endfor %}",
        "{{ messages | length }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}",
        "{% for m in messages %}{{ loop.index }}{{ m.role }}{{ m.content }}{% endfor %}",
    ],
)
def test_unsupported_templates_are_refused_or_detected(template: str) -> None:
    mine = made(template)
    try:
        text = ollama.modelfile(ollama.parts_of(mine, []), adds_start="", context=256)
    except JobFailure:
        with pytest.raises(JobFailure, match="choose the format gguf"):
            ollama.parts_of(mine, [])
    else:
        assert ollama.faults(text, mine, [], CONVERSATIONS, adds_start="")


def test_a_wrong_modelfile_is_detected() -> None:
    mine = made(CHATML)
    ends = [mine.convert_tokens_to_ids("<|im_end|>")]
    text = ollama.modelfile(ollama.parts_of(mine, ends), adds_start="", context=256)
    wrong = text.replace("<|im_end|>\\n", "<|im_end|> \\n")
    assert ollama.faults(wrong, mine, ends, CONVERSATIONS, adds_start="")
    endless = text.replace('PARAMETER stop "<|im_end|>"\n', "")
    assert "<|im_end|>" in ollama.faults(endless, mine, ends, CONVERSATIONS, adds_start="")[0]
    assert ollama.faults("FROM ./model.gguf\n", mine, ends, CONVERSATIONS, adds_start="")


def test_a_template_without_system_prompts_has_no_system_part() -> None:
    mine = made(GEMMA)
    parts = ollama.parts_of(mine, [mine.eos_token_id])
    assert "system" not in parts.roles
    text = ollama.modelfile(parts, adds_start="", context=256)
    assert ollama.faults(text, mine, [mine.eos_token_id], CONVERSATIONS, adds_start="") == []


def test_a_modelfile_is_read_as_ollama_does() -> None:
    """Its reader drops what cannot be printed, and undoes no escape."""
    text = '# a note\nFROM ./model.gguf\n\nSYSTEM """a "word"\n\nand\u00a0more"""\nPARAMETER stop "a\\n"\n'
    assert ollama.instructions(text) == [
        ("FROM", "./model.gguf"),
        ("SYSTEM", 'a "word"\n\nandmore'),
        ("stop", "a\\n"),
    ]
    assert ollama.instructions('SYSTEM "\n"\nPARAMETER num_ctx 5') == [("SYSTEM", "\n"), ("num_ctx", "5")]
    for wrong in ('SYSTEM """a"" b\n', 'PARAMETER stop "\n'):
        with pytest.raises(ValueError, match="has no end"):
            ollama.instructions(wrong)
        assert "cannot be read" in ollama.faults(wrong, made(CHATML), [], [], adds_start="")[0]


@pytest.mark.parametrize(
    "mark", ["\u00a0", "\u2028", "\u200d", "\x7f", "\x85", "\U000e0061", "\\U000e0061", "\t"]
)
def test_unprintable_characters_are_kept(mark: str) -> None:
    """As of a template for French, which has a no-break space before its colons."""
    template = (
        "{% for m in messages %}{{ m.role }}%s: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant%s:{% endif %}"
    ).replace("%s", mark)
    mine = made(template)
    text = ollama.modelfile(ollama.parts_of(mine, []), adds_start="", context=256)
    assert "".join(char for char in text if char.isprintable() or char in "\t\n") == text
    for messages in CONVERSATIONS:
        assert ollama.render_modelfile(text, messages) == render(mine, messages, add_generation_prompt=True)
    bare = text.replace(f"\\U{ord(mark[0]):08x}", mark)
    assert bare == text or ollama.faults(bare, mine, [], CONVERSATIONS, adds_start="")


@pytest.mark.parametrize("stop", ['<"end">', '"', '""end', "C:\\end", "\n\n", "two\nlines", " end "])
def test_stop_texts_round_trip(stop: str) -> None:
    parts = ollama.TemplateParts("", {"user": ("<", ">")}, "", stops=[stop, "</s>"])
    text = ollama.modelfile(parts, adds_start="", context=256)
    assert ollama.stops_of(text) == [stop, "</s>"]


@pytest.mark.parametrize("text", ['a """b', "two\u00a0words", '"""'])
def test_texts_a_modelfile_cannot_hold_are_refused(text: str) -> None:
    """Ollama would lose a part of it, or read on past its end."""
    for parts in (
        ollama.TemplateParts("", {}, "", default=text + "\n" + text),
        ollama.TemplateParts("", {}, "", stops=[text + '"""\n' + text]),
    ):
        with pytest.raises(JobFailure, match="choose the format gguf"):
            ollama.modelfile(parts, adds_start="", context=256)
