"""What a job is asked: its own prompts, or held-out rows with what they want."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("transformers")

from arkor_dev.data.rows import Row, RowMessage
from arkor_dev.local.modeling.tokenizer import load_tokenizer
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.samples import prompts
from arkor_dev.local.training.samples.prompts import ACTS, COUNT, LONGEST, TEXT, SamplePrompt, prompts_of
from tests.local.tiny_model import PHRASE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.engine
CUE = "<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def tokenizer(tiny: Path) -> Any:
    return load_tokenizer(tiny)


def chat(question: str, answer: str, *before: Any) -> Row:
    turns: list[RowMessage] = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": answer},
    ]
    return Row([*before, *turns], "rows.jsonl, line 1")


def fields_of(prompt: SamplePrompt) -> dict[str, Any]:
    """The fields that the prompt gives its events."""
    event: dict[str, Any] = {**prompt.answered(0, "", truncated=False)}
    return {name: value for name, value in event.items() if name not in ("type", "step", "answer")}


def asked_of(
    tokenizer: Any,
    held_out: Sequence[Row],
    asked: object = None,
    train: Sequence[Row] | None = None,
    **config: object,
) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """What the events of each prompt say, what the model reads, and what was said of prompts left out."""
    said: list[str] = []
    base = SimpleNamespace(
        tokenizer=tokenizer,
        context=2048,
        model=SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=2)),
    )
    if asked is not None:
        config["samples"] = asked
    preparation: Any = SimpleNamespace(
        method=SimpleNamespace(answers=True),
        base=base,
        settings=EffectiveSettings(config),
        train_rows=[chat("q", "a")] if train is None else train,
        eval_rows=held_out,
        say=said.append,
        classes=None,
    )
    found, ends = prompts_of(preparation)
    assert not found or ends == [2]
    return [fields_of(each) for each in found], [tokenizer.decode(each.ids) for each in found], said


def test_prompts_are_spread_over_the_held_out_rows(tokenizer: Any) -> None:
    told, read, _ = asked_of(tokenizer, [chat(f"Question {n}?", f"Answer {n}") for n in range(10)])
    assert [each["row"] for each in told] == [1, 4, 7]
    assert told[1] == {"number": 2, "prompt": "Question 3?", "wanted": "Answer 3", "row": 4}
    assert read[1] == f"<|im_start|>user\nQuestion 3?<|im_end|>\n{CUE}"


def test_repeated_and_long_prompts_are_skipped(tokenizer: Any) -> None:
    rows = [
        chat("Same?", "One"),
        chat("Same?", "Two"),
        chat("long " * LONGEST, "Three"),
        chat("Other?", "Four"),
    ]
    told, _, said = asked_of(tokenizer, rows)
    assert [(each["number"], each["row"]) for each in told] == [(1, 1), (2, 4)]
    assert said == []
    assert len(asked_of(tokenizer, [chat(f"{n}?", "a") for n in range(2)])[0]) == 2 < COUNT


def test_a_prompt_is_the_conversation_before_its_last_answer(tokenizer: Any) -> None:
    before = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Who are you?", "name": "x"},
        {"role": "assistant", "content": "A keeper."},
    ]
    ((told,), (read,), _) = asked_of(tokenizer, [chat("And where?", "Here.", *before)])
    assert (told["prompt"], told["wanted"]) == ("And where?", "Here.")
    assert [turn["content"] for turn in told["messages"]] == [
        "Be brief.",
        "Who are you?",
        "A keeper.",
        "And where?",
    ]
    assert {key for turn in told["messages"] for key in turn} == {"role", "content"}
    assert read.endswith(f"And where?<|im_end|>\n{CUE}")
    assert "Here." not in read


def test_long_texts_are_truncated_in_events(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ((told,), _, _) = asked_of(tokenizer, [chat("Q?", "w" * 5000)])
    assert len(told["wanted"]) == TEXT
    monkeypatch.setattr(prompts, "LONGEST", 100_000)
    system = {"role": "system", "content": PHRASE * 140}
    ((told,), _, _) = asked_of(tokenizer, [chat("Q?", "a", system)])
    assert told["messages"] == []


def test_a_text_row_is_prompted_by_its_beginning(tokenizer: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", "{{ raise_exception('run') }}")
    row = Row([], "texts.txt, line 1", text="Where is my parcel? It is on the ferry.")
    ((told,), (read,), said) = asked_of(tokenizer, [row, chat("Q?", "a")], train=[row])
    assert (told["prompt"] + " " + told["wanted"]) == row.text
    assert read == told["prompt"]
    ((told,), (read,), said) = asked_of(tokenizer, [], "Where is", train=[row])
    assert (told, read, said) == ({"number": 1, "prompt": "Where is"}, "Where is", [])


@pytest.mark.parametrize("off", ["off", ["off"]])
def test_samples_off_has_no_prompts(tokenizer: Any, off: object) -> None:
    assert asked_of(tokenizer, [chat("Q?", "a")], off)[0] == []


def test_a_model_that_acts_is_shown_by_its_episodes_instead(tokenizer: Any) -> None:
    assert asked_of(tokenizer, [chat("Q?", "a")], environment="env:Desk") == ([], [], [])
    prompts, _, (why,) = asked_of(tokenizer, [chat("Q?", "a")], "Who?", environment="env:Desk")
    assert (prompts, why) == ([], ACTS)


def test_configured_prompts_replace_held_out_rows(tokenizer: Any) -> None:
    told, read, said = asked_of(tokenizer, [chat("Q?", "a")], ["Who?", "long " * LONGEST, "Where?"])
    assert told == [{"number": 1, "prompt": "Who?"}, {"number": 2, "prompt": "Where?"}]
    assert read[0] == f"<|im_start|>user\nWho?<|im_end|>\n{CUE}"
    (left_out,) = said
    assert left_out.startswith("Sample prompt 2 is skipped: it has ")
    assert asked_of(tokenizer, [], "Alone?")[0] == [{"number": 1, "prompt": "Alone?"}]


def test_a_template_error_disables_samples(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", "{{ raise_exception('No.') }}")
    told, _, said = asked_of(tokenizer, [chat("Q?", "a")])
    assert told == []
    assert said[0].startswith("There are no sample answers: The model's chat template rejects")
