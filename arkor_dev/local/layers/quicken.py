"""Puts the quick layers into a model, each where it was seen to give what the model's own code gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from peft.tuners.lora.layer import Linear as PeftLinear

from .attention import NAME
from .functions import GatedMlp, LoraLinear, Norm

if TYPE_CHECKING:
    from collections.abc import Callable

ALIKE: Final = {torch.float32: 1e-4, torch.bfloat16: 0.03, torch.float16: 0.03}
"""How far two ways to the same may lie apart, as a part of the whole; rounding is a tenth of it."""
SETS_OWN_MASK: Final = ("attention_chunk_size",)
"""Where a model's configuration has these, some layers see less than all that came before."""


def quicken(model: Any) -> bool:
    """Quicken the layers of ``model``; whether all that learns is in quick ones: no cast is needed."""
    learning = {id(weight) for weight in model.parameters() if weight.requires_grad}
    for module in model.modules():
        if _plain_lora(module):
            a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
            learning -= {id(a), id(b)}
            module.forward = _lora(module, module.forward)
        elif any(weight.requires_grad for weight in module.parameters()):
            continue
        elif type(module).__name__.endswith("RMSNorm"):
            _try(module, *_norms(module))
        elif _gated(module):
            _try(module, _mlp(module))
    return not learning


def lines_up(model: Any) -> str | None:
    """Let ``model`` take rows end to end; why it cannot, where it is plain that it cannot.

    Whether it truly keeps the rows apart is for the caller to see (``alike``).
    """
    config = model.config.get_text_config()
    if getattr(config, "_attn_implementation", None) != "sdpa":
        return "its attention is not one of torch's"
    if any(getattr(config, name, None) for name in SETS_OWN_MASK):
        return "its layers see only pieces of a row"
    model.set_attn_implementation(NAME)
    return None


def stands_apart(model: Any) -> None:
    """Undo ``lines_up``, if it was done."""
    if model.config.get_text_config()._attn_implementation == NAME:  # noqa: SLF001
        model.set_attn_implementation("sdpa")


def alike(one: Any, other: Any) -> bool:
    """Whether two tensors differ by no more than rounding."""
    if one.shape != other.shape:
        return False
    one, other, dtype = one.float(), other.float(), other.dtype
    return bool((one - other).norm() <= ALIKE.get(dtype, 0.0) * other.norm())


def _plain_lora(module: Any) -> bool:
    """A linear layer of the base with one low-rank adapter and nothing besides."""
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


def _lora(module: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    def forward(x: Any, *args: Any, **kwargs: Any) -> Any:
        if module.disable_adapters or module.merged:
            return original(x, *args, **kwargs)
        base = module.base_layer
        a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
        return LoraLinear.apply(x, base.weight, base.bias, a, b, module.scaling["default"])

    return forward


def _norms(module: Any) -> tuple[Callable[..., Any], ...]:
    """What such a norm may be: some multiply by their weight, some by one more than it."""
    weight = getattr(module, "weight", None)
    epsilon = getattr(module, "variance_epsilon", getattr(module, "eps", None))
    if weight is None or not isinstance(epsilon, float):
        return ()

    def of(gain: Any) -> Callable[..., Any]:
        return lambda x: Norm.apply(x, gain, epsilon)

    return of(weight.detach()), of((1 + weight.detach().float()).to(weight.dtype))


def _gated(module: Any) -> bool:
    layers = [getattr(module, f"{name}_proj", None) for name in ("gate", "up", "down")]
    return callable(getattr(module, "act_fn", None)) and all(
        isinstance(layer, torch.nn.Linear) and layer.bias is None for layer in layers
    )


def _mlp(module: Any) -> Callable[..., Any]:
    def forward(x: Any) -> Any:
        weights = (module.gate_proj.weight, module.up_proj.weight, module.down_proj.weight)
        return GatedMlp.apply(x, *weights, module.act_fn)

    return forward


@torch.no_grad()  # type: ignore[untyped-decorator]
def _try(module: Any, *ways: Callable[..., Any]) -> None:
    """Let ``module`` go the first of ``ways`` that gives what its own code gives."""
    weight = next(iter(module.parameters()), None)
    if weight is None:
        return
    size = weight.shape[-1]
    # Numbers that need no generator: a seed's stream belongs to the training.
    sample = torch.arange(3 * size, dtype=torch.float32).mul_(0.7).sin_().view(1, 3, size).to(weight.dtype)
    try:
        known = module(sample)
        for way in ways:
            if alike(way(sample), known):
                module.forward = way
                return
    except (RuntimeError, TypeError, AttributeError):
        return
