"""Which rows an evaluation set may have."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("transformers")

from transformers import AutoTokenizer

from arkor_dev.local.evaluation.scorers import scorer_of
from arkor_dev.local.training.final_evaluation import own_sets
from arkor_dev.local.training.final_evaluation.own_sets import sets_of
from arkor_dev.local.training.greedy import GreedyAnswer
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.methods.grpo.rewards import Reward, Scoring
from arkor_dev.local.training.methods.grpo.rollouts import _rollout, _to_score
from arkor_dev.local.training.rows.prompts import encode_prompt
from tests.local.tiny_model import CHATML, write_jsonl

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import EvaluationSet

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("name", ["sft", "dpo", "kto", "grpo"])
def test_evaluation_prompts_are_answered_for_any_method(name: str, tiny: Path, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "check.jsonl", [{"prompt": "How many?", "answer": "3", "unit": "kg"}])
    sets: list[EvaluationSet] = [
        {"name": "right", "path": "check.jsonl", "metric": "scores:right"},
        {"name": "loss", "path": "check.jsonl"},
    ]
    preparation: Any = SimpleNamespace(
        config={"datasetSource": {"type": "file", "path": "rows.jsonl"}, "evaluations": sets},
        settings=EffectiveSettings({}), data=tmp_path, job_id="job_1", project=tmp_path, progress=print,
        longest=64,
    )  # fmt: skip
    base = SimpleNamespace(tokenizer=AutoTokenizer.from_pretrained(tiny), context=256)
    run: Any = SimpleNamespace(method=method(name), base=base)
    refused: list[tuple[str, str]] = []
    own = sets_of(preparation, run, lambda *why: refused.append(why))
    assert [(each.name, each.rows[0].extra["columns"]) for each in own] == [
        ("right", {"answer": "3", "unit": "kg"})
    ]
    assert [failed for failed, _ in refused] == ["loss"], "a loss needs what the method learns from"


@pytest.mark.parametrize(
    ("cue", "thought"), [("", "<think>\nFour?\n</think>\n\n"), ("<think>\n", "Four?</think>")]
)
def test_answers_are_scored_without_their_thoughts(
    cue: str, thought: str, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = [
        {"role": "user", "content": "2 + 1?"},
        {"role": "assistant", "content": "<think>1 + 1 + 1</think>3"},
    ]
    write_jsonl(tmp_path / "check.jsonl", [{"messages": turns}])
    sets: list[EvaluationSet] = [{"name": "right", "path": "check.jsonl", "metric": "exact_match"}]
    preparation: Any = SimpleNamespace(
        config={"datasetSource": {"type": "file", "path": "rows.jsonl"}, "evaluations": sets},
        settings=EffectiveSettings({}), data=tmp_path, job_id="job_1", project=tmp_path, progress=print,
        longest=64,
    )  # fmt: skip
    base = SimpleNamespace(tokenizer=AutoTokenizer.from_pretrained(tiny), context=512, model=None)
    base.tokenizer.chat_template = CHATML.replace("assistant\n{% endif %}", f"assistant\n{cue}{{% endif %}}")
    run: Any = SimpleNamespace(method=method("sft"), base=base, data=tmp_path, job_id="job_1")
    [right] = sets_of(preparation, run, print)
    monkeypatch.setattr(own_sets, "end_ids", lambda *_: [0])
    scores = []
    for text in (f"{thought}3", f"{thought}4", thought.partition("</think>")[0]):
        monkeypatch.setattr(own_sets, "answers", lambda *_, text=text: [GreedyAnswer(text, truncated=False)])
        model: Any = None
        scores += right.measure(model, lambda: False, print)
    assert scores == [1, 0, 0]


def test_tool_calls_are_measured_and_rewarded_where_each_row_has_tools(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = {"function": {"name": "find", "arguments": '{"id": 1, "in": "the hold of the ferry"}'}}
    messages = [{"role": "user", "content": "Where?"}, {"role": "assistant", "tool_calls": [called]}]
    row = {"messages": messages, "tools": [{"type": "function", "function": {"name": "find"}}]}
    write_jsonl(tmp_path / "right.jsonl", [row])
    write_jsonl(tmp_path / "wrong.jsonl", [row, {"messages": messages}])
    sets: list[EvaluationSet] = [
        {"name": name, "path": f"{name}.jsonl", "metric": "tool_call"} for name in ("right", "wrong")
    ]
    preparation: Any = SimpleNamespace(
        config={"datasetSource": {"type": "file", "path": "rows.jsonl"}, "evaluations": sets},
        settings=EffectiveSettings({}), data=tmp_path, job_id="job_1", project=tmp_path, progress=print,
        longest=64,
    )  # fmt: skip
    base = SimpleNamespace(tokenizer=AutoTokenizer.from_pretrained(tiny), context=512)
    run: Any = SimpleNamespace(method=method("sft"), base=base, data=tmp_path, job_id="job_1")
    refused: list[tuple[str, str]] = []
    [right] = sets_of(preparation, run, lambda *why: refused.append(why))
    assert right.questions()[0][0][1] > 10, "the forecast counts the tokens of the wanted call"
    assert refused == [
        ("wrong", "wrong.jsonl, line 2 has no tools with a function's name, which the metric tool_call needs")
    ]

    answer = (
        '<tool_call>{"name": "find", "arguments": {"in": "the hold of the ferry", "id": 1.0}}</tool_call>'
    )
    monkeypatch.setattr(own_sets, "end_ids", lambda *_: [0])
    monkeypatch.setattr(own_sets, "answers", lambda *_: [GreedyAnswer(answer, truncated=False)])
    model: Any = None
    base.model = model
    assert right.measure(model, lambda: False, print) == [1]
    prompt = encode_prompt(base.tokenizer, right.rows[0], 512)
    scoring = Scoring([Reward(sets[0], 1)], lambda own: scorer_of(own, tmp_path, tmp_path, "job_1", bool))
    given = [GreedyAnswer(text, truncated=False) for text in (answer, "In the hold.")]
    assert scoring([_to_score(_rollout(prompt, each)) for each in given]) == [[1], [0]]
    scoring.close()
