"""How a token is chosen: as transformers' own processors would, and the same again for the same seed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

np = pytest.importorskip("numpy")

from arkor_dev.local.inference.generation.sampling import FIRST_CANDIDATES, Sampler, likeliest  # noqa: E402
from arkor_dev.local.inference.messages import Sampling  # noqa: E402

VOCABULARY = 2000


def logits(seed: int = 0, size: int = VOCABULARY) -> Any:
    return (3 * np.random.default_rng(seed).standard_normal(size)).astype(np.float32)


def drawn(sampling: Sampling, figures: Any, count: int = 400) -> set[int]:
    sampler = Sampler(sampling, [])
    return {sampler.choose(figures).token for _ in range(count)}


def test_temperature_0_is_greedy() -> None:
    figures = logits()
    sampler = Sampler(Sampling(), [])
    assert [sampler.choose(figures).token for _ in range(3)] == [int(figures.argmax())] * 3


def test_a_seed_makes_sampling_reproducible() -> None:
    def series(seed: int) -> list[int]:
        sampler = Sampler(Sampling(temperature=1.0, seed=seed), [])
        return [sampler.choose(logits(step)).token for step in range(20)]

    assert series(7) == series(7)
    assert len({tuple(series(seed)) for seed in (7, -7, 8, 2**53, 0)}) == 5


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    "asked",
    [
        {"top_k": 1},
        {"top_k": 40},
        {"top_k": FIRST_CANDIDATES + 300},
        {"top_p": 0.3},
        {"top_p": 0.9},
        {"top_p": 0.9999},
        {"min_p": 0.05},
        {"top_k": 50, "top_p": 0.8},
        {"top_k": 50, "top_p": 0.8, "min_p": 0.2},
        {"top_p": 0.95, "min_p": 0.01},
    ],
    ids=str,
)
@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_top_k_top_p_and_min_p_equal_transformers(asked: dict[str, Any], temperature: float) -> None:
    import torch
    from transformers import MinPLogitsWarper, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    figures = logits(3)
    scores = TemperatureLogitsWarper(temperature)(None, torch.tensor(figures)[None])
    for name, warper in (
        ("top_k", TopKLogitsWarper),
        ("top_p", TopPLogitsWarper),
        ("min_p", MinPLogitsWarper),
    ):
        if name in asked:
            scores = warper(asked[name])(None, scores)
    wanted = set(torch.isfinite(scores[0]).nonzero().flatten().tolist())
    sampler = Sampler(Sampling(temperature=temperature, **asked), [])
    shares = np.exp((figures - figures.max()) / np.float32(temperature))
    kept = sampler._candidates(shares, float(shares.sum(dtype=np.float64)))
    assert kept is not None
    assert set(kept.tolist()) == wanted
    assert drawn(Sampling(temperature=temperature, **asked), figures) <= wanted


@pytest.mark.parametrize("more", [{"top_p": 0.98}, {"top_k": 50}, {"min_p": 0.01}])
def test_sampling_is_stable_under_rounding(more: dict[str, Any]) -> None:
    figures = logits()
    # Each token has a twin, and which of the two is the likelier one is a matter of the last bit.
    figures[1::2] = np.nextafter(figures[::2], np.float32(np.inf))
    swapped = figures.copy()
    swapped[::2], swapped[1::2] = figures[1::2], figures[::2]
    for seed in range(100):
        sampling = Sampling(temperature=1.5, seed=seed, **more)
        one, other = Sampler(sampling, []), Sampler(sampling, [])
        for _ in range(3):
            assert one.choose(figures).token == other.choose(swapped).token


def test_sampled_frequencies_match_probabilities() -> None:
    figures = np.log(np.array([0.5, 0.3, 0.15, 0.05], dtype=np.float32))
    sampler = Sampler(Sampling(temperature=1.0, seed=1), [])
    counted = Counter(sampler.choose(figures).token for _ in range(20_000))
    shares = [counted[token] / 20_000 for token in range(4)]
    assert shares == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.015)


@pytest.mark.engine
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_the_repetition_penalty_equals_transformers() -> None:
    import torch
    from transformers import RepetitionPenaltyLogitsProcessor

    figures, seen = logits(5), [1, 5, 5, 17]
    wanted = RepetitionPenaltyLogitsProcessor(1.3)(torch.tensor([seen]), torch.tensor(figures)[None].clone())[
        0
    ]
    found = Sampler(Sampling(repetition=1.3), seen)._penalised(figures)
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-6)


def test_frequency_and_presence_penalties_count_the_answer_only() -> None:
    figures = np.array([5.0, 4.5, 1.0], dtype=np.float32)
    before = figures.copy()
    often = Sampler(Sampling(frequency=0.2), [0, 0, 0])
    assert [often.choose(figures).token for _ in range(5)] == [0, 0, 0, 1, 0]
    once = Sampler(Sampling(presence=0.6), [0])
    # 5 - 0.6 is less than 4.5, and then both are lowered once.
    assert [once.choose(figures).token for _ in range(4)] == [0, 1, 0, 0]
    assert (figures == before).all()


def test_log_probabilities_ignore_the_sampling_settings() -> None:
    figures = logits(2)
    whole = figures.astype(np.float64)
    wanted = whole - np.log(np.exp(whole).sum())
    chosen = Sampler(Sampling(temperature=2.0, top_k=5, repetition=2.0, seed=3, logprobs=3), [4]).choose(
        figures
    )
    assert chosen.logprob == pytest.approx(wanted[chosen.token])
    assert [token for token, _ in chosen.likeliest] == np.argsort(-figures)[:3].tolist()
    assert [value for _, value in chosen.likeliest] == pytest.approx(sorted(wanted)[:-4:-1])
    assert Sampler(Sampling(logprobs=0), []).choose(figures).likeliest == ()
    assert Sampler(Sampling(), []).choose(figures).logprob is None


def test_ties_are_broken_by_token_id() -> None:
    values = np.array([1, 3, 3, 2, 3], dtype=np.float32)
    assert likeliest(values, 2).tolist() == [1, 2]
    assert likeliest(values, 5).tolist() == [1, 2, 4, 3, 0]
