"""Replaces a model's layers with faster ones, each only if the results agree."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import torch
from peft.tuners.lora.layer import Linear as PeftLinear

from .attention import NAME, CurrentBatch
from .functions import GatedMlp, LoraLinears, Norm, Rotate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import ModuleType

    from torch import Tensor
    from torch.nn import Module

ALIKE: Final = {torch.float32: 1e-4, torch.bfloat16: 0.03, torch.float16: 0.03}
"""Maximum relative difference between two computations of one layer; rounding causes a tenth of it."""
ALIKE_WHOLE: Final = {torch.float32: 1e-4, torch.bfloat16: 0.1, torch.float16: 0.1}
"""The maximum for a whole model's logits: over 30 layers in bfloat16, rounding alone reaches 0.03."""
ROTATION: Final = "apply_rotary_pos_emb"
SETS_OWN_MASK: Final = ("attention_chunk_size",)
"""Model configuration keys which mean that some layers do not attend to all earlier tokens."""


def patch_model(model: Module) -> bool:
    """Patch the layers of ``model``; return whether all trained weights are in them, which need no cast.

    Call once per model, with its final adapter: patched layers hold the adapter's weights.
    """
    for code in {sys.modules[type(module).__module__] for module in model.modules()}:
        _patch_rotation(code)
    learning = {id(weight) for weight in model.parameters() if weight.requires_grad}
    for module in model.modules():
        if _plain_lora(module):
            learning -= {id(weight) for weight in _adapter(module)}
            if "forward" not in vars(module):  # otherwise it shares its input with other layers
                _compute_together([module])
        elif same_input := _reads_same(module):
            _compute_together(same_input)
        elif _gated(module):
            _try(module, _mlp(module))
        elif type(module).__name__.endswith("RMSNorm") and not any(
            weight.requires_grad for weight in module.parameters()
        ):
            _try(module, *_norms(module))
    return not learning


def use_packed_attention(model: Module) -> str | None:
    """Let ``model`` process packed rows; return the reason if that is clearly impossible.

    The caller must check that rows are really kept apart (``alike``).
    """
    config = model.config.get_text_config()
    if getattr(config, "_attn_implementation", None) != "sdpa":
        return "its attention is not a torch implementation"
    if any(getattr(config, name, None) for name in SETS_OWN_MASK):
        return "its layers attend to only part of a row"
    model.set_attn_implementation(NAME)
    return None


def use_plain_attention(model: Module) -> None:
    """Undo ``use_packed_attention``."""
    if model.config.get_text_config()._attn_implementation == NAME:  # noqa: SLF001
        model.set_attn_implementation("sdpa")


def nearly_equal(first: Tensor, second: Tensor, bounds: Mapping[torch.dtype, float] = ALIKE) -> bool:
    """Return whether two tensors differ only by rounding."""
    if first.shape != second.shape:
        return False
    first, second, dtype = first.float(), second.float(), second.dtype
    return bool((first - second).norm() <= bounds.get(dtype, 0.0) * second.norm())


def _plain_lora(module: Module) -> bool:
    """Return whether the module is a linear layer of the base with a single low-rank adapter."""
    return (
        type(module) is PeftLinear
        and type(module.base_layer) is torch.nn.Linear
        and not module.base_layer.weight.requires_grad
        and list(module.lora_A) == ["default"]
        and isinstance(module.lora_dropout["default"], torch.nn.Identity)
        and not getattr(module, "lora_variant", {})
        and module.lora_B["default"].bias is None
        and not module.fan_in_fan_out
    )


def _adapter(module: Module) -> tuple[Tensor, Tensor]:
    return module.lora_A["default"].weight, module.lora_B["default"].weight


def _quick(module: Module) -> bool:
    """Return whether the module is a frozen linear layer, with or without a plain adapter."""
    return _plain_lora(module) or (
        type(module) is torch.nn.Linear and not any(weight.requires_grad for weight in module.parameters())
    )


def _children(module: Module, *names: str) -> list[Module]:
    """Return the layers ``NAME_proj`` of ``module`` if all exist and can be patched; else an empty list."""
    layers = [getattr(module, f"{name}_proj", None) for name in names]
    return layers if all(map(_quick, layers)) else []


def _reads_same(module: Module) -> list[Module]:
    """Return an attention layer's projections of the same input if one has an adapter; else an empty list."""
    layers = _children(module, "q", "k", "v")
    adapted = any(map(_plain_lora, layers))
    return layers if adapted and len({layer.in_features for layer in layers}) == 1 else []


class _Patches:
    """Whether patched layers may compute; PEFT's own code does otherwise."""

    on = True


@contextmanager
def unpatched() -> Iterator[None]:
    """Compute patched layers as PEFT does within the block: they only know the adapter at their patch."""
    before, _Patches.on = _Patches.on, False
    try:
        yield
    finally:
        _Patches.on = before


def _adapters_off(layers: Sequence[Module]) -> bool:
    """Return whether adapters are disabled or merged, or another one than the patched may be in use."""
    return not _Patches.on or any(
        isinstance(layer, PeftLinear) and (layer.disable_adapters or layer.merged) for layer in layers
    )


def _tensors(layers: Sequence[Module]) -> tuple[tuple[float, ...], list[Tensor | None]]:
    """Return scales, and weight, bias, ``a`` and ``b`` of each layer, in the functions' order."""
    scales, tensors = [], []
    for layer in layers:
        adapted = _plain_lora(layer)
        base = layer.base_layer if adapted else layer
        tensors += [base.weight, base.bias, *(_adapter(layer) if adapted else (None, None))]
        scales.append(layer.scaling["default"] if adapted else 1.0)
    return tuple(scales), tensors


def _compute_together(layers: Sequence[Module]) -> None:
    """Compute ``layers``, called in turn with the same input, when the first is called."""
    scales, tensors = _tensors(layers)
    waiting: dict[int, tuple[Tensor, Tensor]] = {}

    def replacement(number: int, original: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def forward(x: Tensor, *args: object, **kwargs: object) -> Tensor:
            if _adapters_off(layers):
                return original(x, *args, **kwargs)
            if number == 0:
                waiting.update(enumerate((x, output) for output in LoraLinears.apply(x, scales, *tensors)))
            shared_input, output = waiting.pop(number, (None, None))
            if shared_input is x:
                return output
            alone = tensors[4 * number : 4 * number + 4]
            return LoraLinears.apply(x, scales[number : number + 1], *alone)[0]

        return forward

    for number, layer in enumerate(layers):
        layer.forward = replacement(number, layer.forward)


def _norms(module: Module) -> tuple[Callable[..., Tensor], ...]:
    """Return the possible forms of a norm: some multiply by their weight, others by one plus their weight."""
    weight = getattr(module, "weight", None)
    epsilon = getattr(module, "variance_epsilon", getattr(module, "eps", None))
    if weight is None or not isinstance(epsilon, float):
        return ()

    def of(gain: Tensor) -> Callable[..., Tensor]:
        return lambda x: Norm.apply(x, gain, epsilon)

    return of(weight.detach()), of((1 + weight.detach().float()).to(weight.dtype))


def _gated(module: Module) -> bool:
    return callable(getattr(module, "act_fn", None)) and bool(_children(module, "gate", "up", "down"))


def _mlp(module: Module) -> Callable[..., Tensor]:
    layers, original = _children(module, "gate", "up", "down"), module.forward
    scales, tensors = _tensors(layers)

    def forward(x: Tensor) -> Tensor:
        if _adapters_off(layers):
            return original(x)
        return GatedMlp.apply(x, module.act_fn, scales, *tensors)

    return forward


@torch.no_grad()  # type: ignore[untyped-decorator]
def _try(module: Module, *replacements: Callable[..., Tensor]) -> None:
    """Use the first of ``replacements`` whose result agrees with that of the module's own code."""
    weight = next(iter(module.parameters()), None)
    if weight is None:
        return
    size = weight.shape[-1]
    # Use no random generator: that would advance the training run's random stream.
    sample = torch.arange(3 * size, dtype=torch.float32).mul_(0.7).sin_().view(1, 3, size).to(weight.dtype)
    try:
        known = module(sample)
        for replacement in replacements:
            if nearly_equal(replacement(sample), known):
                module.forward = replacement
                return
    except (RuntimeError, TypeError, AttributeError):
        return


@torch.no_grad()  # type: ignore[untyped-decorator]
def _patch_rotation(code: ModuleType) -> None:
    """Replace the function of the module ``code`` that rotates queries and keys, if the results agree.

    Models look it up in their module, so other models get it too: it computes only batches that were packed
    for a CPU itself.
    """
    original = getattr(code, ROTATION, None)
    if original is None or hasattr(original, "packed"):
        return

    def rotation(
        q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        packed = CurrentBatch.packed
        plain = packed is not None and packed.groups and packed.ids.shape == (q.shape[0], q.shape[2])
        plain = plain and not args and not kwargs
        if plain and q.shape[-1] == k.shape[-1] == cos.shape[-1] and q.dtype == cos.dtype:
            rotated: tuple[Tensor, Tensor] = Rotate.apply(q, k, cos.unsqueeze(1), sin.unsqueeze(1))
        else:
            rotated = original(q, k, cos, sin, *args, **kwargs)
        return rotated

    rotation.packed = True  # type: ignore[attr-defined]
    q, k, cos, sin = torch.arange(4 * 48.0).mul_(0.7).sin_().view(4, 1, 1, 3, 16)
    try:
        known = original(q, k, cos[0], sin[0])
        if all(nearly_equal(new, old) for new, old in zip(Rotate.apply(q, k, cos, sin), known, strict=True)):
            setattr(code, ROTATION, rotation)
    except (RuntimeError, TypeError, AttributeError, ValueError):
        return
