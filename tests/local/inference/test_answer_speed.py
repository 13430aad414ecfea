"""How the inference worker answers is measured on the model's own weights."""

from __future__ import annotations

import time
from typing import Any

import pytest

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]


def model(width: int, layers: int) -> Any:
    import torch

    whole = torch.nn.Sequential(*[torch.nn.Linear(width, width, bias=False) for _ in range(layers)])
    whole.register_buffer("frequencies", torch.ones(4))
    return whole


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        # float32 on 2 and 4 threads, bfloat16 on 2 and 4
        ((4.0, 2.0, 4.0, 2.0), ("float32", 4)),
        ((4.0, 4.0, 9.0, 9.0), ("float32", 2)),
        ((4.0, 4.0, 3.0, 2.0), ("bfloat16", 4)),
        ((4.0, 4.0, 2.0, 1.9), ("bfloat16", 2)),
    ],
)
def test_the_quickest_way_is_taken(
    monkeypatch: pytest.MonkeyPatch, seconds: tuple[float, ...], expected: tuple[str, int]
) -> None:
    import torch

    from arkor_dev.local.inference import answer_speed

    monkeypatch.setattr(answer_speed, "CORES", 4)
    times = iter(seconds)
    asked = []

    def measured(weights: list[Any], threads: int) -> float:
        asked.append((str(weights[0].dtype), threads))
        return next(times)

    monkeypatch.setattr(answer_speed, "_seconds", measured)
    way = answer_speed.quickest(model(1024, 6), torch.float32)
    assert (str(way.dtype), way.threads) == (f"torch.{expected[0]}", expected[1])
    assert way.shared_threads == 2  # beside a training job it is half of the cores in any case
    assert asked == [(f"torch.{name}", count) for name in ("float32", "bfloat16") for count in (2, 4)]


def test_a_small_model_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from arkor_dev.local.inference import answer_speed

    monkeypatch.delattr(answer_speed, "_seconds")
    assert answer_speed.quickest(model(64, 4), torch.float32).dtype == torch.float32


def test_it_is_measured_in_a_moment_and_buffers_keep_their_format() -> None:
    import torch

    from arkor_dev.local.inference.answer_speed import convert, quickest

    whole = model(1024, 40)
    threads = torch.get_num_threads()
    began = time.monotonic()
    quickest(whole, torch.float32)
    # 0.2 s on an idle machine.
    assert time.monotonic() - began < 5
    assert torch.get_num_threads() == threads
    convert(whole, torch.bfloat16)
    assert {weight.dtype for weight in whole.parameters()} == {torch.bfloat16}
    assert whole.frequencies.dtype == torch.float32
