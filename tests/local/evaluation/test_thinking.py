"""What the verdict says of thoughts: counts and intervals of given answers, and of real training runs."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("numpy")

from arkor_dev.local.evaluation.answers import Answers, GeneratedAnswer
from arkor_dev.local.evaluation.general import ANSWERS, questions
from arkor_dev.local.evaluation.thinking import RateDifference, Thinking
from tests.local.conftest import SAMPLED
from tests.local.harness import Backend
from tests.local.tiny_model import PHRASE, QUESTIONS, write_jsonl

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

LONGEST = 64


def answer(thoughts: int = 0, *, ended: bool = True) -> GeneratedAnswer:
    text = f"<think>\n{'Hm. ' * thoughts}\n</think>\n\nYes."
    return GeneratedAnswer(text, thoughts + 6, not ended, False, thoughts, ended)


def asked(base: Sequence[GeneratedAnswer], adapter: Sequence[GeneratedAnswer]) -> Answers:
    """Questions that both models have answered like this."""
    given: Any = {"base": list(base), "adapter": list(adapter)}
    made = Answers(
        [f"q{number}" for number in range(len(base))],
        [[number] for number in range(len(base))],
        LONGEST,
        lambda model, *_: given[model],
    )
    model: Any = "adapter"
    made.of_adapter(model, lambda: False)
    model = "base"
    made.of_base(model, lambda: False)
    return made


THINKS, SILENT = [answer(20)] * 8, [answer()] * 8


def test_a_switch_that_works_has_no_warning() -> None:
    thinking = Thinking(asked(THINKS, [answer(10)] * 8), asked(SILENT, SILENT))
    assert thinking.warning(3) is None
    measured = thinking.measured()
    assert measured
    assert measured.sentence == (
        "With thinking on, 8 of 8 answers have thoughts (base 8; 99 % interval of the difference -48 to "
        "48 %), on average 10 tokens of thoughts (base 20); 8 of 8 end within 64 tokens where both think "
        "(base 8). "
        "With thinking off, 0 have thoughts (base 0; 99 % interval of the difference -48 to 48 %)."
    )
    wire = measured.to_wire()
    assert wire["on"] == {"base": 1.0, "adapter": 1.0, "low": -0.484, "high": 0.484, "count": 8}
    assert wire["tokens"] == {"base": 20.0, "adapter": 10.0, "low": -10.0, "high": -10.0, "count": 8}


def test_thoughts_that_no_longer_come_are_warned_of() -> None:
    thinking = Thinking(asked(THINKS, SILENT), asked(SILENT, SILENT))
    measured, warning = thinking.measured(), thinking.warning(3)
    assert measured
    assert warning
    assert measured.on.high < 0
    assert measured.on.numbers == (8, 0)
    assert warning["sentence"].startswith(
        "The thinking switch works less than before: with enable_thinking = true, 0 of 8 answers have "
        "thoughts, the base's 8."
    )
    assert "train_on_empty_thoughts = false" in warning["sentence"]
    assert [example["question"] for example in warning["examples"]] == ["q0", "q1", "q2"]


def test_thoughts_that_come_unasked_are_warned_of() -> None:
    warning = Thinking(asked(THINKS, THINKS), asked(SILENT, THINKS)).warning(2)
    assert warning
    assert "with enable_thinking = false, 8 of 8 answers have thoughts, the base's 0." in warning["sentence"]


def test_a_few_changed_answers_may_be_chance() -> None:
    few = Thinking(asked(THINKS, [answer()] * 3 + [answer(20)] * 5), asked(SILENT, SILENT))
    measured = few.measured()
    assert measured
    assert measured.on.low < 0 <= measured.on.high
    assert few.warning(3) is None


def test_thoughts_without_an_end_are_counted_where_both_models_think() -> None:
    cut = [answer(LONGEST, ended=False)] * 3 + [answer(20)] * 4 + [answer()]
    measured = Thinking(asked(THINKS, cut), asked(SILENT, SILENT)).measured()
    assert measured
    assert measured.ended
    assert (measured.ended.count, measured.ended.numbers) == (7, (7, 4))
    none = Thinking(asked(THINKS, SILENT), asked(SILENT, SILENT)).measured()
    assert none
    assert none.ended is None
    assert "ended" not in none.to_wire()


def test_without_answers_there_is_nothing_to_say() -> None:
    nothing = Answers(["q"], [[1]], LONGEST, lambda *_: [])
    assert Thinking(nothing, nothing).measured() is None
    assert Thinking(nothing, nothing).warning(3) is None


@pytest.mark.parametrize(("base", "adapter"), [(8, 0), (0, 8), (8, 8), (5, 3)])
def test_the_interval_of_shares_contains_the_difference_and_stays_possible(base: int, adapter: int) -> None:
    rate = RateDifference.of_shares([(number < base, number < adapter) for number in range(8)])
    assert -1 <= rate.low <= rate.adapter - rate.base <= rate.high <= 1
    assert rate.low < rate.high


def test_refusals_are_searched_after_the_thoughts() -> None:
    inside = GeneratedAnswer("<think>I cannot help with that?</think>Yes.", 9, False, False, 7)
    after = GeneratedAnswer("<think>Hm.</think>I cannot help with that.", 9, False, False, 3)
    unended = GeneratedAnswer("I cannot help with that. Hm.", 9, True, False, 9, ended=False)
    assert [each.refuses for each in (inside, after, unended)] == [False, True, False]


TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' and loop.last %}"
    "<think>\n{{ m.reasoning_content or '' }}\n</think>\n\n{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% if enable_thinking is defined and not "
    "enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
"""Written for this test: Qwen3's without tools and history."""
ASKED = [row.messages[0]["content"] for row in questions()]
"""The verdict's questions: of a model this small, nothing else teaches what to do with them."""
THOUGHT = "Where is the ledger?"


def rows(questions: Sequence[str], *thoughts: str) -> list[dict[str, Any]]:
    """Every question with each of these thoughts."""
    return [
        {
            "messages": [
                {"role": "user", "content": question},
                {"role": "assistant", "content": PHRASE, "reasoning_content": each},
            ]
        }
        for each in thoughts
        for question in questions
    ]


@pytest.fixture
def backend(tmp_path: Path, project: Path, template: dict[str, str]) -> Iterator[Backend]:
    """A backend whose short runs have the product's answers: fewer do not show that the switch breaks."""
    count, tokens = ANSWERS[-1]
    asked = {"ARKOR_TEST_ANSWERS": f"{count},{tokens}"}
    backend = Backend.start(tmp_path / "data", project, tmp_path / "cache", **template, **asked)
    yield backend
    backend.stop()


@pytest.mark.ci
@pytest.mark.engine
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_data_set_that_breaks_the_switch_is_named_after_training(
    backend: Backend, project: Path, tiny: Path, tmp_path: Path
) -> None:
    """A base that thinks where it is asked to learns empty thoughts, and then does not learn them."""
    from transformers import AutoTokenizer

    model = project / "models" / "thinks"
    shutil.copytree(tiny, model)
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.add_tokens(["<think>", "</think>"])
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(model)
    write_jsonl(project / "data" / "mixed.jsonl", rows([*ASKED, *QUESTIONS], THOUGHT, ""))
    write_jsonl(project / "data" / "empty.jsonl", rows(QUESTIONS, ""))

    def trained(**changes: Any) -> tuple[str, dict[str, Any]]:
        job = backend.submit({**SAMPLED, "maxSteps": 60, **changes})
        frames = list(backend.events(job))
        assert backend.job(job)["status"] == "completed", frames[-1].data
        found = [frame.json["evaluation"] for frame in frames if frame.event == "evaluation.completed"]
        return job, found[-1]

    def source(name: str) -> dict[str, str]:
        return {"type": "file", "path": f"data/{name}.jsonl"}

    whole = {"fullFineTuning": True, "learningRate": 2e-3, "model": "./models/thinks"}
    job, _ = trained(**whole, trainOnEmptyThoughts=False, datasetSource=source("mixed"), maxSteps=200)
    shutil.copytree(tmp_path / "data" / "jobs" / job / "final", project / "models" / "thinker")
    adapter = {"model": "./models/thinker", "datasetSource": source("empty"), "learningRate": 2e-3}
    _, broken = trained(**adapter)
    assert broken["thinking"]["on"]["base"] == 1
    assert broken["thinking"]["off"]["base"] == 0
    assert broken["thinking"]["on"]["high"] < 0
    assert broken["warning"]["sentence"].startswith("The thinking switch works less than before")
    _, kept = trained(**adapter, trainOnEmptyThoughts=False)
    assert kept["thinking"]["on"]["adapter"] == 1
    assert kept["thinking"]["off"]["adapter"] == 0
    assert "warning" not in kept
