"""Log probabilities of a prompt's tokens equal those that transformers computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.local.tiny_model import PHRASE, QUESTIONS

from .asking import Asking, ask

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.conftest import Trained

pytestmark = [
    pytest.mark.engine,
    # Of the libraries, about each other.
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
TEXT = f"{' '.join(QUESTIONS[:22])} {PHRASE} 🦜"
"""More tokens than are read at once, the last of them no whole characters."""


def expected(tiny: Path, adapter: Path | None, ids: list[int]) -> tuple[list[float], list[int]]:
    """Each token's log probability after those before it, and the likeliest token in its place."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    if adapter:
        model = PeftModel.from_pretrained(model, str(adapter))
    with torch.inference_mode():
        logs = torch.log_softmax(model(torch.tensor([ids])).logits[0, :-1], dim=-1)
    return [float(logs[place, token]) for place, token in enumerate(ids[1:])], logs.argmax(-1).tolist()


@pytest.mark.parametrize("stepwise", [False, True])
def test_prompt_scores_equal_transformers(trained: Trained, tiny: Path, stepwise: bool) -> None:
    pytest.importorskip("peft")
    from transformers import AutoTokenizer

    final = trained.data / "jobs" / trained.job / "final"
    ids = AutoTokenizer.from_pretrained(tiny)(TEXT)["input_ids"]
    assert len(ids) > 130
    asking = Asking()
    # What was read before is known by its keys and values, not by its logits.
    asking.answer(ask(tiny, None, messages=None, prompt=ids, echo=True, logprobs=0))
    asking.engine._forward.plain = not stepwise
    for adapter in (None, final):
        wanted, likeliest = expected(tiny, adapter, ids)
        for prompt, most in ((ids, 1), (TEXT, 0)):
            scored = asking.ask(
                ask(tiny, adapter, messages=None, prompt=prompt, echo=True, logprobs=2, max_tokens=most)
            )
            asking.finish(scored)
            assert not scored.error
            first, *told = scored.logprobs
            assert (first["logprob"], first["offset"]) == (None, 0)
            assert len(told) == len(ids) - 1 + most
            assert [each["logprob"] for each in told[: len(wanted)]] == pytest.approx(wanted, abs=1e-4)
            tokenizer = asking.engine.tokenizer
            tops = [each["top_logprobs"][0]["token"] for each in told[: len(wanted)]]
            assert tops == [tokenizer.decode([token]) for token in likeliest]
            assert scored.done.completion_tokens == most
            if not most:
                assert (scored.text, scored.done.reason) == (TEXT, "length")
            places = [each["offset"] for each in scored.logprobs]
            assert places == sorted(places)
            for each in scored.logprobs[: len(ids)]:
                if "\ufffd" not in each["token"]:
                    assert scored.text.startswith(each["token"], each["offset"])


def test_prompt_scores_include_the_end_token(trained: Trained, tiny: Path) -> None:
    """Whoever counts the tokens of an answer from the end must find the one that ended it."""
    final = trained.data / "jobs" / trained.job / "final"
    asking = Asking()
    prompt = f"<|im_start|>user\n{QUESTIONS[0]}<|im_end|>\n<|im_start|>assistant\n{PHRASE}"
    scored = asking.ask(ask(tiny, final, messages=None, prompt=prompt, echo=True, logprobs=1, max_tokens=1))
    asking.finish(scored)
    assert scored.done.reason == "stop"
    assert scored.tokens[-1] == "<|im_end|>"
    missing = asking.ask(ask(tiny, final, messages=None, prompt=[5, 9_999]))
    asking.finish(missing)
    assert (
        missing.error == f"prompt has the token 9999, and the model has {len(asking.engine.tokenizer)} tokens"
    )
