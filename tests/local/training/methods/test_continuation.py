"""What tools say, as the tokens that follow an answer: those of TRL, for the templates that it ships."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")

from arkor_dev.local.modeling.tokenizer import load_tokenizer
from arkor_dev.local.training.methods.grpo.continuation import ToolContinuation
from arkor_dev.local.workers.errors import JobFailure

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]


def tokenizer_of(tiny: Path, name: str, end: str) -> Any:
    import trl

    tokenizer = load_tokenizer(tiny)
    tokenizer.add_special_tokens({"eos_token": end})
    tokenizer.chat_template = (Path(trl.__file__).parent / "chat_templates" / f"{name}.jinja").read_text()
    return tokenizer


@pytest.mark.parametrize(
    ("name", "end", "count"),
    [
        ("qwen2_5", "<|im_end|>", 2),
        ("qwen3_instruct_2507", "<|im_end|>", 2),
        ("lfm2", "<|im_end|>", 2),
        ("llama3_1", "<|eot_id|>", 1),
    ],
)
def test_results_have_trls_tokens(name: str, end: str, count: int, tiny: Path) -> None:
    from trl import GRPOTrainer

    tokenizer = tokenizer_of(tiny, name, end)
    results = [("look_up", "It is gone."), ("refund", "4711")][:count]
    trainer = SimpleNamespace(
        processing_class=tokenizer,
        _tokenizer=tokenizer,
        _is_vlm=False,
        chat_template=None,
        chat_template_kwargs={},
    )
    messages = [{"role": "tool", "name": tool, "content": text} for tool, text in results]
    wanted = GRPOTrainer._get_tool_suffix_ids(trainer, messages)
    assert ToolContinuation(tokenizer, [tokenizer.eos_token_id]).tokens(results) == wanted


def test_results_follow_answers_with_thoughts(tiny: Path) -> None:
    """Qwen3's template adds empty thoughts to its last answer only, and keeps those that an answer has."""
    tokenizer = tokenizer_of(tiny, "qwen3", "<|im_end|>")
    tokens = ToolContinuation(tokenizer, [tokenizer.eos_token_id]).tokens([("look_up", "gone")])
    assert tokenizer.decode(tokens) == (
        "\n<|im_start|>user\n<tool_response>\ngone\n</tool_response><|im_end|>\n<|im_start|>assistant\n"
    )


def test_the_mark_of_what_follows_may_end_an_answer(tiny: Path) -> None:
    tokenizer = tokenizer_of(tiny, "glm4moe", "<|observation|>")
    tokens = ToolContinuation(tokenizer, [tokenizer.eos_token_id]).tokens([("look_up", "gone")])
    assert tokenizer.decode(tokens) == "\n<tool_response>\ngone\n</tool_response><|assistant|>"


def test_several_results_of_a_template_with_one_call_per_answer(tiny: Path) -> None:
    tokenizer = tokenizer_of(tiny, "llama3_1", "<|eot_id|>")
    tokens = ToolContinuation(tokenizer, [tokenizer.eos_token_id]).tokens(
        [("look_up", "a"), ("look_up", "b")]
    )
    assert tokenizer.decode(tokens).count("ipython") == 2


@pytest.mark.parametrize(
    ("name", "end", "reason"),
    [
        ("phi3", "<|end|>", "rewrites an answer once a tool's result follows it"),
        ("gptoss", "<|return|>", "rewrites an answer once a tool's result follows it"),
        ("gemma3", "<end_of_turn>", "The model's chat template rejects the conversation"),
    ],
)
def test_a_template_that_cannot_be_continued_is_refused(name: str, end: str, reason: str, tiny: Path) -> None:
    tokenizer = tokenizer_of(tiny, name, end)
    with pytest.raises(JobFailure, match=reason):
        ToolContinuation(tokenizer, [tokenizer.eos_token_id])
