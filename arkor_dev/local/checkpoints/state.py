"""The saved state of a training run: everything that the next step depends on.

Weights, optimizer, scaler and figures belong to the run, random number generators to the process. The state
is read as data, never executed (``weights_only``). Imported by workers only: it imports torch.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NotRequired, TypedDict

import torch

from arkor_dev.local.jobs.job_folder import STATE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from torch import Tensor

    from .resume_points import ResumePlan

FORMAT: Final = 1


class StateError(Exception):
    """A state cannot be read, or belongs to a different run; ``str()`` says why."""


class RandomStates(TypedDict):
    """The states of the generators of Python, torch, and of others if they are in use."""

    python: tuple[int, list[int], float | None]
    torch: Tensor
    numpy: NotRequired[list[object]]
    cuda: NotRequired[list[Tensor]]
    mps: NotRequired[Tensor]


class SavedParts(TypedDict):
    """The saved state of `StateParts`."""

    weights: dict[str, Tensor]
    optimizer: dict[str, object]
    scaler: dict[str, object]
    random: RandomStates


def write_state(folder: Path, state: Mapping[str, object]) -> None:
    """Write ``state`` (tensors, numbers, texts, lists, tuples and dicts of them) into ``folder``."""
    torch.save({"format": FORMAT, **state}, folder / STATE)


def read_state(folder: Path) -> dict[str, object]:
    """Read the state in ``folder``, its tensors on the CPU. Raises StateError."""
    try:
        state = torch.load(folder / STATE, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - a file may contain anything, and the library may raise anything
        raise StateError(f"{STATE} cannot be read ({type(error).__name__})") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise StateError("another version of arkor-dev wrote it")
    return state


def restore_newest(
    plan: ResumePlan, load_state: Callable[[Mapping[str, object]], None]
) -> tuple[int, list[str]]:
    """Call ``load_state`` with each state, newest first, until it accepts one; return its step, and sentences
    about rejected states.

    The step is 0 if none is accepted.
    """
    passed = list(plan.passed)
    for point in plan.points:
        try:
            load_state(read_state(point.folder))
        except StateError as error:
            passed.append(f"{point.name} is skipped: {error}")
        else:
            return point.step, passed
    return 0, passed


def random_states(device: str) -> RandomStates:
    """Return the states of all random number generators."""
    version, numbers, gauss = random.getstate()
    states: RandomStates = {"python": (version, list(numbers), gauss), "torch": torch.get_rng_state()}
    if (numpy := sys.modules.get("numpy")) is not None:
        name, keys, *position = numpy.random.get_state()
        states["numpy"] = [name, keys.tolist(), *position]
    if device == "cuda":
        states["cuda"] = torch.cuda.get_rng_state_all()
    elif device == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def set_random_states(states: RandomStates, device: str) -> None:
    """Restore the states of all random number generators, except those of another device."""
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
    torch.set_rng_state(states["torch"])
    if "numpy" in states and (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.set_state(tuple(states["numpy"]))
    if device == "cuda" and len(states.get("cuda", ())) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
    elif device == "mps" and "mps" in states:
        torch.mps.set_rng_state(states["mps"])


@dataclass(frozen=True, slots=True)
class StateParts:
    """The parts of a run that change with each step: trained weights by name, optimizer, scaler, figures."""

    weights: Mapping[str, Tensor]
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    device: str

    def state(self) -> SavedParts:
        """Return the state of all parts, and of the random number generators."""
        return {
            "weights": {name: weight.detach() for name, weight in self.weights.items()},
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "random": random_states(self.device),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore ``state``. Raises StateError if it belongs to a different run."""
        try:
            saved = state["weights"]
            check_weights(saved, self.weights)
            self.optimizer.load_state_dict(state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])
            with torch.no_grad():
                for name, weight in self.weights.items():
                    weight.copy_(saved[name])
            # Last, so that nothing above can advance the generators: a resumed run draws the same numbers as
            # an uninterrupted one, and so computes the same bits.
            set_random_states(state["random"], self.device)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, IndexError) as error:
            raise StateError(f"it belongs to another run ({type(error).__name__}: {error})") from None


def check_weights(saved: object, weights: Mapping[str, Tensor]) -> None:
    """Raise StateError unless ``saved`` has weights with the same names, shapes and dtypes."""
    if not isinstance(saved, dict) or saved.keys() != weights.keys():
        raise StateError("its weights differ from this run's")
    for name, weight in weights.items():
        if not isinstance(saved[name], torch.Tensor) or saved[name].shape != weight.shape:
            raise StateError(f"its {name} has a different shape from this run's")
        if saved[name].dtype != weight.dtype:
            raise StateError(f"its {name} has a different dtype from this run's")
