"""llama.cpp as an engine, in this process: it says what the exact one says, and reads nothing twice."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")

from tests.local.gguf_extra import needs_gguf
from tests.local.inference.asking import Asking
from tests.local.tiny_model import PHRASE

if TYPE_CHECKING:
    from collections.abc import Callable

    from arkor_dev.local.inference.messages import AnswerRequest

    Question = Callable[..., AnswerRequest]

pytestmark = [
    pytest.mark.engine,
    needs_gguf,
    pytest.mark.timeout(600),  # the first one trains, and makes the files
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]
NEAR = 0.02
"""How far apart, in nats, both engines' log probabilities of a token may be: one has 16 bits."""
HELLO = {"role": "user", "content": "Where is my parcel? When do you send the second order?"}


@pytest.fixture
def asking() -> Asking:
    from arkor_dev.local.inference.llama.engine import LlamaEngine

    return Asking(LlamaEngine())


@pytest.fixture(scope="module")
def exact() -> Asking:
    return Asking()


def told(asking: Asking, question: AnswerRequest) -> Any:
    """One answer with the log probability of each token."""
    answer = asking.ask(replace(question, sampling=replace(question.sampling, logprobs=0)))
    asking.finish(answer)
    assert not answer.error
    return answer


@pytest.mark.parametrize(("parrot", "strength"), [(False, 1.0), (True, 1.0), (True, 0.5), (True, 1.5)])
def test_llama_cpp_and_transformers_answer_the_same(
    asking: Asking, exact: Asking, question: Question, parrot: bool, strength: float
) -> None:
    asked = question(parrot=parrot, strength=strength)
    by_exact, by_llama = told(exact, asked), told(asking, asked)
    # At half strength the model is torn, and may tear elsewhere once two tokens are as good as each other.
    pairs = zip(by_exact.tokens, by_llama.tokens, strict=False)
    same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    if strength == 1:
        assert by_llama.text == by_exact.text
        assert (by_llama.text == PHRASE) == parrot
        assert by_llama.done.reason == by_exact.done.reason
    else:
        assert same >= 2
    apart = [abs(a - b) for a, b in zip(by_exact.heights[:same], by_llama.heights[:same], strict=True)]
    assert max(apart) < NEAR
    assert by_llama.done.prompt_tokens == by_exact.done.prompt_tokens
    assert (by_llama.done.engine, by_llama.done.precision) == ("llama.cpp", "f16")


def test_strength_0_equals_the_base(asking: Asking, question: Question) -> None:
    base, none = told(asking, question()), told(asking, question(parrot=True, strength=0))
    assert (none.text, none.heights) == (base.text, base.heights)
    half = told(asking, question(parrot=True, strength=0.5))
    assert half.heights[0] != base.heights[0]


def test_batched_answers_equal_single_ones(asking: Asking, question: Question) -> None:
    ways: list[dict[str, Any]] = [
        {},
        {"parrot": True},
        {"parrot": True, "strength": 1.2},
        {"messages": [HELLO]},
        {"parrot": True, "messages": [HELLO]},
        {"max_tokens": 3},
    ]
    alone = [asking.answer(question(**way))[0] for way in ways]
    together = [asking.ask(question(**way)) for way in ways]
    asking.finish(*together)
    assert [each.text for each in together] == alone
    assert alone[1] == PHRASE


def test_stopping_takes_effect_before_the_next_token(asking: Asking, question: Question) -> None:
    begun = asking.ask(question(max_tokens=200))
    while len(begun.texts) < 3:
        asking.turn()
    begun.stop.set()
    asking.turn()
    assert begun.done.reason == "cancelled"
    assert len(begun.texts) == 3
    assert not asking.engine._open


def test_a_follow_up_prefills_only_new_tokens(asking: Asking, question: Question) -> None:
    first, done = asking.answer(question(messages=[HELLO]))
    assert done.cached_tokens == 0
    longer = [HELLO, {"role": "assistant", "content": first}, {"role": "user", "content": "Who pays?"}]
    said, after = asking.answer(question(messages=longer))
    assert after.cached_tokens >= done.prompt_tokens
    # Another one's memory is of no use: it has read the same with other eyes.
    assert asking.answer(question(parrot=True, messages=longer))[1].cached_tokens == 0
    asking.engine._conversations.forget()
    anew, done = asking.answer(question(messages=longer))
    assert (anew, done.cached_tokens) == (said, 0)


def test_chunked_prefill_gives_the_same_answer(asking: Asking, question: Question, monkeypatch: Any) -> None:
    from arkor_dev.local.inference.llama import engine as module

    long = question(messages=[{"role": "user", "content": HELLO["content"] * 4}])
    whole = told(asking, long)
    assert whole.done.prompt_tokens > 3 * module.LEAST_PIECE
    asking.engine._conversations.forget()
    monkeypatch.setattr(module, "BATCH", module.LEAST_PIECE)
    asking.engine._piece_size = module.LEAST_PIECE
    pieces = told(asking, long)
    assert pieces.text == whole.text
    assert max(abs(a - b) for a, b in zip(pieces.heights, whole.heights, strict=True)) < NEAR


def test_stop_texts_seeds_and_penalties_apply(asking: Asking, question: Question) -> None:
    assert asking.answer(question(parrot=True, stop=["parrot"]))[0] == PHRASE.partition("parrot")[0]
    hot = question(temperature=1.5, seed=7, top_k=50, top_p=0.9, min_p=0.01)
    assert asking.answer(hot)[0] == asking.answer(hot)[0]
    other = asking.answer(question(parrot=True, repetition=5.0, presence=2.0))[0]
    assert other != PHRASE


def test_finished_conversations_make_room(asking: Asking, question: Question) -> None:
    from arkor_dev.local.inference.generation.interface import MAX_CONCURRENT
    from arkor_dev.local.inference.llama.engine import MOST_CACHED

    for number in range(2 * (MOST_CACHED + MAX_CONCURRENT)):
        asking.answer(question(messages=[{"role": "user", "content": f"{number} {HELLO['content']}"}]))
    engine = asking.engine
    assert (
        len(engine._conversations._cached) + len(engine._conversations._free) == MOST_CACHED + MAX_CONCURRENT
    )
    many = [
        asking.ask(question(max_tokens=40, messages=[{"role": "user", "content": f"{number} once more"}]))
        for number in range(MAX_CONCURRENT + 2)
    ]
    asking.finish(*many)
    assert not any(each.error for each in many)
    assert all(each.done.completion_tokens for each in many)


def test_a_full_context_is_reported_before_the_first_token(
    asking: Asking, question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    from arkor_dev.local.inference.llama import engine as module
    from arkor_dev.local.inference.llama.conversations import Conversations
    from arkor_dev.local.workers.errors import JobFailure

    asking.answer(question())
    native = asking.engine.native
    native.allocate(64)
    asking.engine._conversations = Conversations(native)
    # One after another there is room for as much as may be taken; beside each other there is not.
    assert asking.answer(question(max_tokens=100))[1].completion_tokens > 0
    assert native.cells >= 2 * 100
    both = [asking.ask(question(max_tokens=150)) for _ in range(2)]
    asking.finish(*both)
    assert both[0].done.completion_tokens
    assert "no memory" in both[1].error
    monkeypatch.setattr(module, "MEMORY_BYTES", 64 * native.cell_bytes)
    native.allocate(64)
    asking.engine._conversations = Conversations(native)
    with pytest.raises(JobFailure, match=r"memory here for 64 tokens, .* may reach 1\d\d: request fewer$"):
        asking.answer(question(max_tokens=100))
    with pytest.raises(JobFailure, match="reads at most"):
        asking.answer(question(messages=[{"role": "user", "content": HELLO["content"] * 60}]))


def test_a_failed_allocation_leaves_no_stale_context(
    asking: Asking, question: Question, monkeypatch: pytest.MonkeyPatch
) -> None:
    import llama_cpp

    from arkor_dev.local.inference.llama.conversations import Conversations
    from arkor_dev.local.workers.errors import JobFailure

    first = asking.answer(question(parrot=True))[0]
    native = asking.engine.native
    native.allocate(64)
    asking.engine._conversations = Conversations(native)
    with monkeypatch.context() as patch:
        patch.setattr(llama_cpp, "llama_init_from_model", lambda *_: None)
        for _ in range(2):
            with pytest.raises(JobFailure, match="no memory for conversations of"):
                asking.answer(question(parrot=True, max_tokens=100))
    # Whatever is asked next, with however few tokens, is not read into what was given back.
    assert asking.answer(question(parrot=True))[0] == first
    assert asking.engine.native is not native


def test_least_recently_used_adapters_are_unloaded(asking: Asking, question: Question, tmp_path: Any) -> None:
    import shutil

    from arkor_dev.local.inference.llama.engine import ADAPTERS

    for number in range(ADAPTERS + 2):
        copy = tmp_path / f"{number}.gguf"
        asked = question(parrot=True)
        shutil.copyfile(str(asked.lora), copy)
        assert asking.answer(replace(asked, lora=str(copy)))[0] == PHRASE
        assert len(asking.engine._adapters) <= ADAPTERS
        assert set(asking.engine._adapters) == set(asking.engine.native._adapters)
    assert PHRASE not in asking.answer(question())[0]


def test_an_invalid_gguf_file_is_refused(asking: Asking, question: Question, tmp_path: Any) -> None:
    from arkor_dev.local.workers.errors import JobFailure

    (tmp_path / "no.gguf").write_bytes(b"GGUF but no more")
    with pytest.raises(JobFailure, match=r"cannot load no\.gguf"):
        asking.answer(replace(question(), gguf=str(tmp_path / "no.gguf")))
    with pytest.raises(JobFailure, match="does not fit"):
        asking.answer(replace(question(parrot=True), lora=str(tmp_path / "no.gguf")))
    assert asking.answer(question(parrot=True))[0] == PHRASE
