"""Reads a LoRA adapter's settings safely, so that loading it does no more than its weights require.

An ``adapter_config.json`` may come from an untrusted archive. Before PEFT reads any weight, it runs the
file's regular expressions, allocates memory for its ranks, and decomposes weights for its initialization. So
the adapted layers and their ranks are read from the header of the weights instead; the rest is checked, and
settings that loading does not need are dropped.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Final, Literal, TypedDict

from arkor_dev.contract.regular_files import read_small
from arkor_dev.contract.rules import quoted
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from peft import LoraConfig
    from torch.nn import Module
    from transformers import PreTrainedConfig

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"
PREFIX: Final = "base_model.model."
LIMIT: Final = 1 << 20
PARTS: Final = re.compile(
    r"(?P<module>.+)\.(?P<part>lora_[AB]|lora_embedding_[AB]|lora_magnitude_vector)(?:\.(?:weight|bias))?"
)
MOST_ALPHA: Final = 1e6
INITIALIZATIONS: Final = (None, True, False, "gaussian", "orthogonal", "eva")
"""Initializations that are fully contained in the weights. Others have changed the base as well."""
OTHER_KINDS: Final = (
    "use_qalora", "use_bdlora", "alora_invocation_tokens", "arrow_config", "trainable_token_indices",
    "layer_replication", "target_parameters", "velora_config", "monteclora_config", "kasa_config",
)  # fmt: skip
"""PEFT settings with which a layer computes something other than plain LoRA or DoRA."""
NAMES: Final = 64
"""Settings that list fully trained layers."""
NAME: Final = re.compile(r"[\w-]+(?:\.[\w-]+)*", re.ASCII)
NAME_LENGTH: Final = 200
"""Maximum length of an adapted layer's name, in characters."""
PATTERNS: Final = 256
PATTERN: Final = 200
"""Maximum length of a pattern for layers with their own alpha, in characters."""
REPEATS: Final = 2
"""Maximum number of repetitions in one pattern: matching then takes at most the cube of a name's length."""
BRANCHES: Final = 16
"""Maximum number of ``|`` in one pattern; in several groups, they would multiply."""
SECONDS: Final = 3.0
"""Time limit in seconds for all patterns together."""


class PeftLoraSettings(TypedDict):
    """Settings of PEFT's ``LoraConfig``; patterns map the names of layers to their own rank or alpha."""

    r: int
    rank_pattern: dict[str, int]
    lora_alpha: float
    alpha_pattern: dict[str, float]
    target_modules: list[str]
    modules_to_save: list[str] | None
    bias: Literal["none", "all", "lora_only"]
    use_rslora: bool
    use_dora: bool
    lora_bias: bool
    fan_in_fan_out: bool


def read_lora(folder: Path) -> tuple[PeftLoraSettings, dict[str, tuple[int, ...]]]:
    """Read the adapter in ``folder``: settings of PEFT's ``LoraConfig``, and the shape of each weight.

    The settings name each adapted layer in full. Raises JobFailure for an adapter that is not plain LoRA or
    DoRA, or whose settings do not fit its weights.
    """
    try:
        config = json.loads(read_small(folder / CONFIG, LIMIT))
    except (OSError, ValueError, RecursionError) as error:
        raise _unusable(f"its {CONFIG} cannot be read: {error}") from None
    shapes = _shapes(folder)
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise _unusable("it is not a LoRA adapter")
    if kind := next((name for name in OTHER_KINDS if config.get(name)), None):
        raise _unusable(f"it is not plain LoRA ({kind})")
    initialization = config.get("init_lora_weights")
    if not isinstance(initialization, str | bool | None) or initialization not in INITIALIZATIONS:
        raise _unusable(
            f"its initialization changed the base (init_lora_weights is {quoted(initialization)}), and was "
            "not saved as "
            "plain LoRA"
        )
    if config.get("bias") not in (None, "none", "all", "lora_only"):
        raise _unusable(f"its bias is {quoted(config['bias'])}")
    ranks = _ranks(shapes)
    if not ranks:
        raise _unusable("its weights adapt no layer")
    rank = Counter(ranks.values()).most_common(1)[0][0]
    if (
        isinstance(stated_rank := config.get("r"), int)
        and not config.get("rank_pattern")
        and stated_rank != rank
    ):
        raise _unusable(f"its weights have rank {rank}, and its {CONFIG} says {quoted(stated_rank)}")
    alpha = _alpha(config.get("lora_alpha"))
    settings: PeftLoraSettings = {
        "r": rank,
        "rank_pattern": {re.escape(name): value for name, value in ranks.items() if value != rank},
        "lora_alpha": alpha,
        "alpha_pattern": {
            re.escape(name): value
            for name, value in _alphas(config.get("alpha_pattern"), ranks)
            if value != alpha
        },
        "target_modules": sorted(ranks),
        "modules_to_save": _names(config.get("modules_to_save")) or None,
        "bias": config.get("bias") or "none",
        "use_rslora": config.get("use_rslora") is True,
        "use_dora": config.get("use_dora") is True,
        "lora_bias": config.get("lora_bias") is True,
        "fan_in_fan_out": config.get("fan_in_fan_out") is True,
    }
    if max(len(settings["rank_pattern"]), len(settings["alpha_pattern"])) > PATTERNS:
        raise _unusable(f"more than {PATTERNS} of its layers have their own rank or alpha")
    return settings, shapes


def lora_config(folder: Path, model: Module) -> LoraConfig:
    """Return the ``LoraConfig`` with which PEFT loads the adapter in ``folder`` onto ``model``.

    Raises JobFailure if the two do not fit, before anything is allocated.
    """
    from peft import LoraConfig

    settings, shapes = read_lora(folder)
    modules = dict(model.named_modules())
    for name, shape in shapes.items():
        match = PARTS.fullmatch(name.removeprefix(PREFIX))
        if match is None:
            continue
        module = modules.get(match["module"])
        if module is None:
            raise _unusable(f"its base has no layer {quoted(match['module'])}")
        width = _width(module, match["part"])
        if width is not None and len(shape) == 2 and width not in shape:
            raise _unusable(
                f"{quoted(match['module'])} is {width} wide in its base, and {shape} in the adapter"
            )
    saved_modules = settings["modules_to_save"] or ()
    names = {name.removeprefix(PREFIX) for name in shapes}
    for saved_module in saved_modules:
        full_names = [name for name in modules if name == saved_module or name.endswith(f".{saved_module}")]
        for name in full_names:
            if not any(weight_name.startswith(f"{name}.") for weight_name in names):
                raise _unusable(f"it claims to include {quoted(name)} in full, but does not")
    settings["target_modules"] = _short(settings["target_modules"], modules)
    return LoraConfig(**settings, task_type=task_of(model.config), inference_mode=True)


def task_of(config: PreTrainedConfig) -> str:
    """Return PEFT's task of an adapter for a model of ``config``."""
    from .auto_class import is_encoder  # imports transformers

    return "FEATURE_EXTRACTION" if is_encoder(config) else "CAUSAL_LM"


def _short(targets: list[str], modules: Mapping[str, Module]) -> list[str]:
    """Return the last components of the names in ``targets`` if they identify the same layers, for speed."""
    last = {name.rpartition(".")[2] for name in targets}
    return (
        sorted(last) if len(targets) == sum(name.rpartition(".")[2] in last for name in modules) else targets
    )


def _unusable(reason: str) -> JobFailure:
    return JobFailure(f"The adapter cannot be used: {reason}")


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of each weight from the header; the library checks it against the file's size."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / WEIGHTS, framework="np") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _unusable(f"its {WEIGHTS} cannot be read: {error}") from None


def _ranks(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Return the rank of each adapted layer, by its name in the base."""
    parts: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        if (match := PARTS.fullmatch(name.removeprefix(PREFIX))) and not name.endswith(".bias"):
            parts.setdefault(match["module"], {})[match["part"]] = shape
    ranks = {}
    for module, matrices in parts.items():
        first = matrices.get("lora_A") or matrices.get("lora_embedding_A") or ()
        second = matrices.get("lora_B") or matrices.get("lora_embedding_B") or ()
        if len(first) < 2 or len(second) < 2 or first[0] != second[1] or first[0] < 1:
            raise _unusable(f"the weights of {quoted(module)} do not belong together: {first} and {second}")
        if len(module) > NAME_LENGTH:
            raise _unusable(f"the name of {quoted(module)} is longer than {NAME_LENGTH} characters")
        ranks[module] = first[0]
    return ranks


def _width(module: Module, part: str) -> int | None:
    """Return the input or output size of an adapter's matrix at this layer; None if unknown."""
    names = {
        "lora_A": "in_features",
        "lora_B": "out_features",
        "lora_embedding_A": "num_embeddings",
        "lora_embedding_B": "embedding_dim",
    }
    width = getattr(module, names.get(part, ""), None)
    return width if isinstance(width, int) else None


def _alpha(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < abs(value) <= MOST_ALPHA:
        return value
    raise _unusable(f"its lora_alpha is {quoted(value)}, which is not a number up to {MOST_ALPHA:,.0f}")


def _names(value: object) -> list[str]:
    given = value if isinstance(value, list) else [] if value is None else [value]
    names = [name for name in given if isinstance(name, str) and NAME.fullmatch(name)]
    if len(given) > NAMES or len(names) < len(given):
        raise _unusable(f"its modules_to_save is {quoted(value)}, which are not layer names")
    return names


def _alphas(patterns: object, modules: Mapping[str, object]) -> Iterator[tuple[str, float]]:
    """Yield the alpha of each of ``modules`` that has its own, matched as in PEFT."""
    if patterns in (None, {}):
        return
    if not isinstance(patterns, dict) or len(patterns) > PATTERNS:
        raise _unusable(f"its alpha_pattern has more than {PATTERNS} entries, or is not an object")
    patterns_with_alpha = [(_pattern(key), _alpha(value)) for key, value in patterns.items()]
    end = time.monotonic() + SECONDS
    for module in modules:
        for pattern, alpha in patterns_with_alpha:
            if time.monotonic() > end:
                raise _unusable("its alpha_pattern takes too long to match")
            if pattern.match(module):
                yield module, alpha
                break


def _pattern(key: str) -> re.Pattern[str]:
    """Return a key of ``alpha_pattern``; reject one that may take unlimited time."""
    multiplied = re.search(r"\)[*+?{]|\\\\", key) or ("|" in key and key.count("(") > 1)
    repeats = len(re.findall(r"(?<!\\)[*+?{]", key))
    if len(key) > PATTERN or multiplied or repeats > REPEATS or key.count("|") > BRANCHES:
        raise _unusable(f"its alpha_pattern has an expression that is too complex: {quoted(key)}")
    try:
        return re.compile(rf"(.*\.)?({key})$")
    except re.error as error:
        raise _unusable(
            f"its alpha_pattern has {quoted(key)}, which is not a valid expression: {error}"
        ) from None
