"""How the inference worker answers is measured on the model's own weights."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

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
        # On 2 threads: float32, the same packed, bfloat16, the same packed; then the best one on 4.
        ((4.0, 4.0, 4.0, 4.0, 2.0), ("float32", False, 4)),
        ((4.0, 3.9, 9.0, 9.0, 4.0), ("float32", False, 2)),
        ((4.0, 2.0, 3.0, 1.9, 1.0), ("float32", True, 4)),
        ((4.0, 4.0, 3.0, 2.9, 1.9), ("bfloat16", False, 4)),
        ((4.0, 2.4, 2.3, 1.2, 0.9), ("bfloat16", True, 2)),
        ((4.0, None, None, None, 4.0), ("float32", False, 2)),
        ((4.0, 2.0, RuntimeError(), RuntimeError(), 2.0), ("float32", True, 2)),
    ],
)
def test_the_fastest_compute_plan_is_chosen(
    monkeypatch: pytest.MonkeyPatch,
    seconds: tuple[float | Exception | None, ...],
    expected: tuple[str, bool, int],
) -> None:
    import torch

    from arkor_dev.local.inference import answer_speed

    monkeypatch.setattr(answer_speed, "CORES", 4)
    times = iter(seconds)
    asked = []

    def measured(weights: list[Any], dtype: Any, packed: bool, threads: int) -> Any:
        asked.append((str(dtype), packed, threads))
        time = next(times)
        if isinstance(time, float):
            return answer_speed._Took(time, time)
        raise time or AttributeError("a build of torch without these products")

    monkeypatch.setattr(answer_speed, "_took", measured)
    way = answer_speed.fastest_plan(model(1024, 6), torch.float32)
    assert (str(way.dtype), way.packed, way.threads) == (f"torch.{expected[0]}", *expected[1:])
    assert way.shared_threads == 2  # beside a training job it is half of the cores in any case
    ways = [(f"torch.{name}", packed, 2) for name in ("float32", "bfloat16") for packed in (False, True)]
    assert asked == [*ways, (str(way.dtype), way.packed, 4)]


def test_the_compute_plan_is_measured_in_processor_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the clock says is as others let it be; processor time is the model's own."""
    from arkor_dev.local.inference import answer_speed

    def measured(_: list[Any], dtype: Any, packed: bool, threads: int) -> Any:
        processor = {"torch.float32": 4.0, "torch.bfloat16": 2.0}[str(dtype)]
        return answer_speed._Took(processor, 9.0 / processor)

    import torch

    monkeypatch.setattr(answer_speed, "_took", measured)
    assert answer_speed.fastest_plan(model(1024, 6), torch.float32).dtype == torch.bfloat16


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit, and counts in ticks anyway")
def test_passes_are_timed_finely_after_a_chat_template_was_limited() -> None:
    """A limit on processor time has Linux count that of the whole process in ticks of 4 ms, for good."""
    import torch

    from arkor_dev.local.inference.answer_speed import _took
    from arkor_dev.local.modeling.template_limits import within_limits

    assert within_limits(lambda: "rendered") == "rendered"
    threads = torch.get_num_threads()
    passes = [_took([torch.ones(32, 32)], torch.float32, False, 1).processor for _ in range(5)]
    torch.set_num_threads(threads)
    assert all(0 < seconds < 0.004 for seconds in passes)


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_a_packed_model_has_the_same_logits(name: str, tiny: Path) -> None:
    import torch

    from arkor_dev.local.inference.answer_speed import ComputePlan, convert
    from arkor_dev.local.modeling.base_model import load_base

    dtype = getattr(torch, name)
    if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this processor has no such products")
    plain, packed = (load_base(tiny).model.to("cpu").eval() for _ in range(2))
    convert(plain, ComputePlan(dtype, False, 1, 1))
    convert(packed, ComputePlan(dtype, True, 1, 1))
    with torch.inference_mode():
        for ids in (torch.arange(1)[None], torch.arange(40)[None]):
            expected, got = plain(ids).logits, packed(ids).logits
            assert got.dtype == dtype
            torch.testing.assert_close(got, expected, rtol=1e-2 if name == "bfloat16" else 1e-4, atol=1e-4)
    embedding = packed.get_input_embeddings().weight
    assert not embedding.is_mkldnn  # it is looked up, not multiplied, though the last layer shares it
    assert {layer.weight.is_mkldnn for layer in packed.modules() if type(layer) is torch.nn.Linear} == {True}


def test_a_small_model_is_not_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from arkor_dev.local.inference import answer_speed

    monkeypatch.delattr(answer_speed, "_took")
    assert answer_speed.fastest_plan(model(64, 4), torch.float32).dtype == torch.float32


def test_measuring_is_short_and_buffers_keep_their_dtype() -> None:
    import torch

    from arkor_dev.local.inference.answer_speed import ComputePlan, convert, fastest_plan

    whole = model(1024, 40)
    threads = torch.get_num_threads()
    began = time.thread_time()
    fastest_plan(whole, torch.float32)
    # 0.2 s, of its own: a busy machine may take far longer to give them.
    assert time.thread_time() - began < 5
    assert torch.get_num_threads() == threads
    convert(whole, ComputePlan(torch.bfloat16, False, 1, 1))
    assert {weight.dtype for weight in whole.parameters()} == {torch.bfloat16}
    assert whole.frequencies.dtype == torch.float32


@pytest.mark.parametrize("supported", [True, False])
def test_measuring_keeps_no_weights(supported: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on a processor that does not support packed products. Those of the starter would take 100 MB until
    a collection of cycles, which an idle worker never has.
    """
    import gc

    import torch

    from arkor_dev.local.inference import answer_speed

    def layers() -> int:
        return sum(isinstance(each, torch.nn.Linear) for each in gc.get_objects())

    def refuse(*_: object) -> None:
        raise RuntimeError("not supported")

    if not supported:
        monkeypatch.setattr(answer_speed, "packed_product", refuse)
    measured = model(1024, 6)
    gc.disable()
    try:
        before = layers()
        answer_speed.fastest_plan(measured, torch.float32)
        assert layers() == before
    finally:
        gc.enable()
