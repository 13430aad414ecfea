"""Answers that share steps say what each says alone, in every family of models; and what is remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.local.cpu_kernels.models import FAMILIES, SIZES
from tests.local.tiny_model import PHRASE, QUESTIONS, make_tokenizer
from tests.support.in_ci import others_in_ci

from .asking import Asking, answer, ask

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local.conftest import Trained

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
MORE_FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    **FAMILIES,
    "gemma2, windows of 16": ("Gemma2", {"head_dim": 8, "sliding_window": 16}),
    "gemma3, windows of 16": ("Gemma3Text", {"head_dim": 8, "sliding_window": 16}),
    "phi3": ("Phi3", {}),
    "granite": ("Granite", {}),
    "gpt-neox": ("GPTNeoX", {}),
    "gpt2": ("GPT2", {"n_positions": 128, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_inner": 48}),
    "smollm3": ("SmolLM3", {}),
    "falcon, alibi": ("Falcon", {"alibi": True}),
    "mamba, by generate": ("Mamba", {"state_size": 8}),
}


@pytest.fixture(autouse=True)
def plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights in float32 on one thread: rounding hardly differs with who is answered beside it."""
    import torch

    from arkor_dev.local.inference import transformers_engine as engine_module
    from arkor_dev.local.inference.answer_speed import ComputePlan

    monkeypatch.setattr(engine_module, "fastest_plan", lambda *_: ComputePlan(torch.float32, False, 1, 1))


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """No token ends an answer: models of random weights would say too little to be compared."""
    from arkor_dev.local.inference import transformers_engine as engine_module

    monkeypatch.setattr(engine_module, "end_ids", lambda *_: [])


def question(place: int, **more: Any) -> dict[str, Any]:
    """Messages of unlike lengths."""
    content = " ".join(QUESTIONS[(place + each) % len(QUESTIONS)] for each in range(1 + place % 4))
    return {"messages": [{"role": "user", "content": content}], **more}


@pytest.fixture(scope="module")
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model of the family with the tests' tokenizer."""
    import torch
    import transformers

    name, more = MORE_FAMILIES[request.param]
    tokenizer = make_tokenizer()
    folder = tmp_path_factory.mktemp("family")
    sizes = {**SIZES, "vocab_size": len(tokenizer), "max_position_embeddings": 256}
    torch.manual_seed(1)
    config = getattr(transformers, f"{name}Config")(**{**sizes, **more})
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("family", others_in_ci(MORE_FAMILIES), indirect=True)
@pytest.mark.usefixtures("endless")
def test_batched_answers_equal_single_ones(family: Path, request: pytest.FixtureRequest) -> None:
    asks = [
        ask(family, None, logprobs=0, **question(place, max_tokens=8 + 6 * (place % 3))) for place in range(4)
    ]
    alone = []
    for each in asks:
        asking = Asking()
        alone.append(asking.ask(each))
        asking.finish(alone[-1])
    asking = Asking()
    # They come one after another, while others are in the middle of theirs.
    together = []
    for each in asks:
        together.append(asking.ask(each))
        asking.turn(2)
    asking.finish(*together)
    assert [each.error for each in together] == [""] * len(together)
    assert [each.text for each in together] == [each.text for each in alone]
    for one, other in zip(alone, together, strict=True):
        assert one.tokens == other.tokens
        assert len(one.tokens) == one.done.completion_tokens
        assert one.heights == pytest.approx(other.heights, abs=1e-3)
    assert len({tuple(each.heights) for each in alone}) > 1
    assert asking.engine._forward.plain == ("by generate" not in request.node.callspec.params["family"])
    assert not asking.engine._batches


def test_answers_of_one_adapter_share_each_step(
    trained: Trained, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arkor_dev.local.modeling.kv_cache import Forward

    sizes: list[int] = []
    plain = Forward.__call__

    def counted(self: Forward, tokens: list[list[int]], *rest: Any, **how: Any) -> Any:
        sizes.append(len(tokens))
        return plain(self, tokens, *rest, **how)

    monkeypatch.setattr(Forward, "__call__", counted)
    asking, final = Asking(), trained.data / "jobs" / trained.job / "final"
    told = [asking.ask(ask(tiny, final, **question(place))) for place in range(4)]
    asking.finish(*told)
    assert [each.text for each in told] == [PHRASE] * 4
    assert max(sizes) == 4
    # Each prompt is read by itself, and then nearly all steps are shared.
    tokens = sum(each.done.completion_tokens for each in told)
    assert len(sizes) - 4 < tokens / 2


def test_a_failed_answer_ends_no_other(tiny: Path) -> None:
    asking = Asking()
    good = asking.ask(ask(tiny, None, max_tokens=30))
    asking.turn(3)
    too_long = asking.ask(ask(tiny, None, messages=[{"role": "user", "content": "word " * 400}]))
    asking.finish(good, too_long)
    assert "shorten it" in too_long.error
    assert good.text == answer(Asking().engine, ask(tiny, None, max_tokens=30))[0]


@pytest.mark.usefixtures("endless")
def test_a_failed_step_ends_its_answers_and_is_not_cached(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = Asking()
    told = [asking.ask(ask(tiny, None, **question(place, max_tokens=40))) for place in range(2)]
    asking.turn(5)
    with monkeypatch.context() as patch:
        patch.setattr(asking.engine.base.model, "forward", lambda **_: 1 / 0)
        asking.turn()
    assert ["ZeroDivisionError" in each.error for each in told] == [True, True]
    assert not asking.loop.busy
    assert asking.answer(ask(tiny, None))[0] == answer(Asking().engine, ask(tiny, None))[0]


def test_a_follow_up_prefills_only_new_tokens(trained: Trained, tiny: Path) -> None:
    asking, final = Asking(), trained.data / "jobs" / trained.job / "final"
    first = ask(tiny, final)
    said, done = asking.answer(first)
    assert done.cached_tokens == 0
    longer = [
        *(first.messages or ()),
        {"role": "assistant", "content": said},
        {"role": "user", "content": QUESTIONS[1]},
    ]
    second = ask(tiny, final, messages=longer)
    text, again = asking.answer(second)
    assert said == PHRASE
    assert again.cached_tokens == done.prompt_tokens + done.completion_tokens - 1
    assert text == answer(Asking().engine, second)[0]
    # The same question again, also while an answer that continues it runs.
    running = asking.ask(second)
    asking.turn(2)
    assert asking.answer(second)[0] == text
    asking.finish(running)
    assert running.text == text
    assert running.done.cached_tokens == again.prompt_tokens - 1


def test_prefix_caches_are_per_adapter_and_strength(trained: Trained, tiny: Path) -> None:
    asking, final = Asking(), trained.data / "jobs" / trained.job / "final"
    for adapter, strength in ((None, 1.0), (final, 1.0), (final, 0.5), (None, 1.0)):
        asked = ask(tiny, adapter, strength=strength, **question(2))
        text, done = asking.answer(asked)
        assert text == answer(Asking().engine, asked)[0]
    assert done.cached_tokens == done.prompt_tokens - 1


def test_the_prefix_cache_evicts_the_oldest() -> None:
    import torch

    from arkor_dev.local.inference.adapter_scale import ActiveAdapter
    from arkor_dev.local.inference.prompt_cache import PromptCache

    def layers(tokens: int) -> Any:
        return [(torch.zeros(1, 1, tokens, 4), torch.zeros(1, 1, tokens, 4))]

    cache = PromptCache(limit=3 * 32 * 20)
    for start in range(4):
        cache.store(ActiveAdapter("a"), list(range(start, start + 20)), layers(20))
    assert cache.find(ActiveAdapter("a"), list(range(30))) == []
    assert cache.find(ActiveAdapter("a"), list(range(1, 30)))[0][0].shape[-2] == 20
    assert cache.find(ActiveAdapter("b"), list(range(1, 30))) == []
    # Used just now: the next one to go is another.
    cache.store(ActiveAdapter("a"), list(range(50, 70)), layers(20))
    assert cache.find(ActiveAdapter("a"), list(range(2, 30))) == []
    assert cache.find(ActiveAdapter("a"), list(range(1, 30)))
    # A conversation that goes on takes the place of its beginning; never all of a prompt is known.
    cache.store(ActiveAdapter("a"), list(range(50, 75)), layers(25))
    assert len(cache._cached) == 2
    assert cache.find(ActiveAdapter("a"), list(range(50, 75)))[0][0].shape[-2] == 24
    cache.store(ActiveAdapter("a"), list(range(1000)), layers(1000))
    assert len(cache._cached) == 2


@pytest.mark.usefixtures("endless")
def test_chunked_prefill_interleaves_with_other_answers(tiny: Path) -> None:
    asking = Asking()
    long = ask(tiny, None, messages=[{"role": "user", "content": " ".join(QUESTIONS[:16])}], max_tokens=4)
    first = asking.ask(ask(tiny, None, max_tokens=30))
    asking.turn(2)
    (answer_of_first,) = asking.loop._answers
    before = answer_of_first.tokens
    second = asking.ask(long)
    turns = 0
    while len(asking.loop._answers) < 2 or asking.loop._answers[1].logits is None:
        asking.turn()
        turns += 1
    assert turns > 1
    assert answer_of_first.tokens == before + turns
    asking.finish(first, second)
    assert second.text == answer(Asking().engine, long)[0]
    # A stop is heard before the next piece.
    third = asking.ask(ask(tiny, None, messages=[{"role": "user", "content": " ".join(QUESTIONS[16:])}]))
    asking.turn()
    third.stop.set()
    asking.turn()
    assert third.done.reason == "cancelled"
    assert third.done.completion_tokens == 0
