"""What a ``[[trainer]]`` may say, as one table: the key, the contract's field, what is allowed.

One place feeds the reader and its error texts; a test holds the commented file of ``arkor-dev init`` to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEDULERS = ("linear", "cosine", "constant", "constant_with_warmup")


@dataclass(frozen=True, slots=True)
class Option:
    """``key`` as arkor.toml spells it, ``field`` as the job's config does; ``allowed`` is said to people."""

    key: str
    field: str
    allowed: str
    fits: Callable[[object], bool]


def _is_whole(low: int, high: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _whole(key: str, field: str, low: int, high: int) -> Option:
    return Option(key, field, f"a whole number from {low} to {high:,}", _is_whole(low, high))


def _number(key: str, field: str, allowed: str, fits: Callable[[float], bool]) -> Option:
    """``fits`` has to bound the number on both sides: infinity is a number too, and NaN fits nowhere."""

    def check(value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and fits(value)

    return Option(key, field, allowed, check)


def _flag(key: str, field: str) -> Option:
    return Option(key, field, "true or false", lambda value: isinstance(value, bool))


def is_line(limit: int) -> Callable[[object], bool]:
    """A string that fits on one line: not blank, nothing unprintable, at most ``limit`` characters."""
    return lambda value: (
        isinstance(value, str) and bool(value.strip()) and len(value) <= limit and value.isprintable()
    )


TRAINER_OPTIONS = (
    Option("model", "model", "a model's name or folder, as one line of text", is_line(300)),
    _whole("steps", "maxSteps", 1, 10_000_000),
    _number("epochs", "numTrainEpochs", "a number above 0, 10,000 at most", lambda n: 0 < n <= 10_000),
    _number("learning_rate", "learningRate", "a number above 0, 1 at most", lambda n: 0 < n <= 1),
    _whole("batch_size", "batchSize", 1, 1024),
    _whole("max_length", "maxLength", 8, 1_000_000),
    _whole("warmup_steps", "warmupSteps", 0, 10_000_000),
    _number("weight_decay", "weightDecay", "a number from 0 to 1", lambda n: 0 <= n <= 1),
    Option(
        "scheduler",
        "lrSchedulerType",
        "one of " + ", ".join(f'"{name}"' for name in SCHEDULERS),
        lambda value: value in SCHEDULERS,
    ),
    _whole("log_every", "loggingSteps", 1, 10_000_000),
    _whole("eval_every", "evalSteps", 1, 10_000_000),
    _number("eval_split", "datasetSplit", "a fraction of the rows, from 0 to 0.9", lambda n: 0 <= n <= 0.9),
    _whole("save_every", "saveSteps", 1, 10_000_000),
    _whole("seed", "seed", 0, 2**32 - 1),
    _flag("train_on_responses_only", "trainOnResponsesOnly"),
    _flag("load_in_4bit", "loadIn4bit"),
    _flag("dry_run", "dryRun"),
)

LORA_OPTIONS = (
    _whole("r", "loraR", 1, 1024),
    _number("alpha", "loraAlpha", "a number above 0, 10,000 at most", lambda n: 0 < n <= 10_000),
)

TRAINER_KEYS = ("name", "dataset", "lora", *(option.key for option in TRAINER_OPTIONS))
LORA_KEYS = tuple(option.key for option in LORA_OPTIONS)
DATASET_KEYS = ("huggingface", "split", "subset", "url")
