"""Layers streamed to a GPU: one that is emulated, and copies that come as early or as late as they may."""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pytest

from arkor_dev.local.workers.errors import JobFailure
from tests.local.tiny_run import losses_of
from tests.support.in_ci import in_ci

from .test_streamed_layers import LAYERS, InMemory, make, prepared, reads_of, run_of, same_weights

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.local.training.run import TrainingLoop

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"),
]


@dataclass
class _Event:
    """What ``work`` there is before it, which is done at the latest when somebody waits for it."""

    number: int
    work: Callable[[], None] = lambda: None

    def synchronize(self) -> None:
        work, self.work = self.work, lambda: None
        work()


@dataclass
class Watched:
    """Transfers in main memory, which copy as ``early`` or ``late`` as a device may.

    A copy must come after the computation that uses what it overwrites, and what it copies may be overwritten
    only once it is finished.
    """

    copies: Literal["early", "late"]
    allocated: int = 0
    copied: list[int] = field(default_factory=list)
    device: Any = None

    def __post_init__(self) -> None:
        import torch

        self.device = torch.device("cpu")
        self._events, self._lock = 0, threading.Lock()
        self._targets: dict[int, int] = {}
        self._used: dict[int, int] = {}
        self._unfinished: dict[int, _Event] = {}

    def _event(self, work: Callable[[], None] = lambda: None) -> _Event:
        self._events += 1
        return _Event(self._events, work)

    def pinned(self, size: int) -> Any:
        import torch

        return torch.zeros(size, dtype=torch.uint8)

    def empty(self, size: int) -> Any:
        import torch

        self.allocated += size
        return torch.full((size,), 0xFF, dtype=torch.uint8)

    def copy(self, source: Any, target: Any, after: Any) -> _Event:
        with self._lock:
            address = target.data_ptr()
            assert after.number > self._used.get(address, 0), "it overwrites a layer that still computes"
            assert source.data_ptr() not in self._unfinished, "it was overwritten while it was copied"
            self.copied.append(source.nbytes)
            event = self._event(lambda: target.copy_(source))
            self._targets[event.number] = address
            self._unfinished[source.data_ptr()] = event
            if self.copies == "early":
                event.synchronize()
            return event

    def mark(self) -> _Event:
        with self._lock:
            return self._event()

    def wait(self, event: Any) -> None:
        with self._lock:
            event.synchronize()
            self._events += 1
            self._used[self._targets[event.number]] = self._events

    def finish(self, event: Any) -> None:
        with self._lock:
            event.synchronize()
            self._unfinished = {
                address: other for address, other in self._unfinished.items() if other is not event
            }


def watched(run: TrainingLoop, copies: Literal["early", "late"]) -> Watched:
    stream = run.base.stream
    assert stream
    stream.transfers = transfers = Watched(copies)
    return transfers


@pytest.mark.parametrize("copies", ["early", in_ci("late")])
@pytest.mark.parametrize("dtype", ["bfloat16", in_ci("float32")])
def test_copies_beside_the_computation_give_the_same_bits(
    deep: Path,
    tmp_path: Path,
    in_memory: Callable[..., InMemory],
    dtype: str,
    copies: Literal["early", "late"],
) -> None:
    plain = in_memory(dtype, 0.1)
    streamed = run_of(deep, tmp_path / "streamed", dtype, loraDropout=0.1, offload="layers")
    transfers = watched(streamed, copies)
    assert losses_of(streamed) == plain.losses
    assert same_weights(streamed, plain)
    stream = streamed.base.stream
    assert stream
    assert transfers.allocated == stream.resident_bytes < stream.bytes
    assert max(transfers.copied) <= stream.bytes / LAYERS


def test_each_layer_is_copied_once_a_pass_and_direction(deep: Path, tmp_path: Path) -> None:
    """Also if batches are accumulated; but for those that are still there at the turn of the direction."""
    for batches in (1, 3):
        data = tmp_path / str(batches)
        run = run_of(deep, data, offload="layers", gradientAccumulationSteps=batches)
        transfers = watched(run, "late")
        run.begin()
        steps = run.steps()
        run.learn(*next(steps))
        numbers = reads_of(run)
        before = len(transfers.copied)
        run.learn(*next(steps))
        assert numbers == [*range(2, LAYERS), *reversed(range(LAYERS - 2))]
        assert len(transfers.copied) - before == len(numbers)


@pytest.mark.ci
def test_layers_that_keep_their_activations_wait_for_the_copies(
    deep: Path, tmp_path: Path, in_memory: Callable[..., InMemory]
) -> None:
    """The backward pass uses a layer's weights only once they have arrived again."""
    plain = in_memory()
    streamed = run_of(deep, tmp_path / "streamed", offload="layers", gradientCheckpointing=False)
    transfers = watched(streamed, "late")
    assert losses_of(streamed) == plain.losses
    assert same_weights(streamed, plain)
    stream = streamed.base.stream
    assert stream
    assert transfers.allocated == stream.resident_bytes < stream.bytes


SMALL = 9_500_000
"""Bytes of a GPU that cannot hold a step of the model, whose weights take 10 MB."""


def trained(model: Path, data: Path, total: int, **config: Any) -> tuple[TrainingLoop, list[float], int]:
    """A job on an emulated GPU of ``total`` bytes: its run, its losses, and the peak there."""
    from tests.support.devices import cuda

    data.mkdir()
    own: dict[str, Any] = {
        "numberFormat": "auto",
        "loraRank": 2,
        "loraAlpha": 4,
        "maxSteps": 2,
        "evalSteps": 2,
    }
    own |= {"gradientAccumulationSteps": 1, **config}
    with cuda(total=total) as device:
        run, _ = prepared(model, data, **own)
        losses: list[float] = []
        run.emit.observers.append(
            lambda event: losses.append(event["loss"]) if event.get("loss") is not None else None
        )
        assert run.run().status == "completed"
        placed = {weight.device.type for weight in run.model.parameters()}
        assert placed == {"cuda"}
        return run, losses, device.peak


@pytest.mark.ci
def test_a_model_that_exceeds_the_gpu_is_streamed_to_it(tmp_path: Path) -> None:
    """To the bits of a GPU that holds it."""
    deep = make(tmp_path / "deep", layers=6)
    whole, losses, most = trained(deep, tmp_path / "whole", 2**34)
    run, streamed, peak = trained(deep, tmp_path / "streamed", SMALL)
    assert whole.settings["offload"] == "none"
    assert run.settings["offload"] == "layers"
    assert streamed == losses
    assert same_weights(run, whole, layers=6)
    assert peak < SMALL < most
    # With room for it, activations are kept after the first step.
    run, kept, _ = trained(deep, tmp_path / "kept", 2**34, offload="layers", maxSteps=4)
    assert kept[:2] == losses
    assert run.base.stream
    assert 0.4 < run.base.stream.activations.share < 1


def test_a_model_whose_layers_cannot_be_streamed_must_fit(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from tests.support.devices import cuda

    own = make(tmp_path / "own", layers=2, shard="1GB")
    weights = load_file(own / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    weights[name] = weights[name].float()
    save_file(weights, own / "model.safetensors", metadata={"format": "pt"})
    with cuda(total=3_000_000), pytest.raises(JobFailure, match="does not fit into the GPU's memory"):
        prepared(own, tmp_path, numberFormat="auto")


def test_memory_that_layers_are_copied_to_is_not_reused_before_the_copy_ends() -> None:
    """Also if it is freed meanwhile: torch's allocator knows only of streams that were recorded."""
    from arkor_dev.local.modeling.transfers import CudaTransfers
    from tests.support.devices import cuda

    with cuda() as device:
        assert device.awaits_stream(CudaTransfers().empty(64))


def test_layers_over_several_gpus_are_not_streamed(deep: Path, tmp_path: Path) -> None:
    from tests.support.devices import two_cards

    with (
        two_cards(2**34, 2**34),
        pytest.raises(JobFailure, match=r"it is spread over 2 GPUs\. Remove offload"),
    ):
        prepared(deep, tmp_path, numberFormat="auto", gpus=2, offload="layers")


def test_layers_in_4_bit_are_streamed_from_main_memory(deep: Path, tmp_path: Path) -> None:
    """Quantized once, to the losses of a model that is on the GPU in 4 bit."""
    pytest.importorskip("bitsandbytes")
    whole, losses, most = trained(deep, tmp_path / "whole", 2**34, loadIn4bit=True, offload="none")
    run, streamed, peak = trained(deep, tmp_path / "streamed", 2**34, loadIn4bit=True, offload="layers")
    assert streamed == losses
    assert same_weights(run, whole)
    stream = run.base.stream
    assert stream
    assert stream.resident_bytes < stream.bytes / 2
    assert peak < most


def test_a_disk_that_fails_while_layers_are_quantized_is_reported(
    deep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the read: a mapped page that cannot be read ends the process."""
    pytest.importorskip("bitsandbytes")
    from tests.support.devices import cuda

    def fail(*_: Any) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with cuda(total=2**34):
        run, _ = prepared(deep, tmp_path, numberFormat="auto", loadIn4bit=True, offload="layers")
        monkeypatch.setattr(os, "preadv", fail)
        with pytest.raises(JobFailure, match="Input/output error"):
            run.begin()
