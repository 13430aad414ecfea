"""Puts the quick layers into a model, each where it was seen to give what the model's own code gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from peft.tuners.lora.layer import Linear as PeftLinear

from .attention import NAME
from .functions import GatedMlp, LoraLinears, Norm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ALIKE: Final = {torch.float32: 1e-4, torch.bfloat16: 0.03, torch.float16: 0.03}
"""Largest relative difference between two computations of one layer; rounding is a tenth of it."""
ALIKE_WHOLE: Final = {torch.float32: 1e-4, torch.bfloat16: 0.1, torch.float16: 0.1}
"""The same for the logits of a whole model: over 30 layers in bfloat16, rounding alone comes to 0.03."""
SETS_OWN_MASK: Final = ("attention_chunk_size",)
"""Where a model's configuration has these, some layers see less than all that came before."""


def quicken(model: Any) -> bool:
    """Quicken the layers of ``model``; return whether all that learns is in quick ones, which need no cast.

    Once for a model, with the adapter that it keeps: the quick layers hold the adapter's weights.
    """
    learning = {id(weight) for weight in model.parameters() if weight.requires_grad}
    for module in model.modules():
        if _plain_lora(module):
            learning -= {id(weight) for weight in _adapter(module)}
            if "forward" not in vars(module):  # else it is one of several that read the same input
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


def alike(one: Any, other: Any, bounds: Mapping[Any, float] = ALIKE) -> bool:
    """Whether two tensors differ by no more than rounding."""
    if one.shape != other.shape:
        return False
    one, other, dtype = one.float(), other.float(), other.dtype
    return bool((one - other).norm() <= bounds.get(dtype, 0.0) * other.norm())


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


def _adapter(module: Any) -> tuple[Any, Any]:
    return module.lora_A["default"].weight, module.lora_B["default"].weight


def _quick(module: Any) -> bool:
    """Whether it is a frozen linear layer, with a plain adapter or without."""
    return _plain_lora(module) or (
        type(module) is torch.nn.Linear and not any(weight.requires_grad for weight in module.parameters())
    )


def _children(module: Any, *names: str) -> list[Any]:
    """The layers ``NAME_proj`` of ``module``, if it has all of them and each is quick; else none."""
    layers = [getattr(module, f"{name}_proj", None) for name in names]
    return layers if all(map(_quick, layers)) else []


def _reads_same(module: Any) -> list[Any]:
    """An attention's projections of the same input, if one of them has an adapter; else none."""
    layers = _children(module, "q", "k", "v")
    adapted = any(map(_plain_lora, layers))
    return layers if adapted and len({layer.in_features for layer in layers}) == 1 else []


def _bare(layers: Sequence[Any]) -> bool:
    """Whether adapters are switched off, or already in the base's weights."""
    return any(_plain_lora(layer) and (layer.disable_adapters or layer.merged) for layer in layers)


def _tensors(layers: Sequence[Any]) -> tuple[tuple[float, ...], list[Any]]:
    """Scales, and weight, bias, ``a`` and ``b`` of each, as the functions take them."""
    scales, tensors = [], []
    for layer in layers:
        adapted = _plain_lora(layer)
        base = layer.base_layer if adapted else layer
        tensors += [base.weight, base.bias, *(_adapter(layer) if adapted else (None, None))]
        scales.append(layer.scaling["default"] if adapted else 1.0)
    return tuple(scales), tensors


def _compute_together(layers: Sequence[Any]) -> None:
    """Let ``layers``, called one after another with the same input, be computed when the first is called."""
    scales, tensors = _tensors(layers)
    waiting: dict[int, tuple[Any, Any]] = {}

    def way(number: int, original: Callable[..., Any]) -> Callable[..., Any]:
        def forward(x: Any, *args: Any, **kwargs: Any) -> Any:
            if _bare(layers):
                return original(x, *args, **kwargs)
            if number == 0:
                waiting.update(enumerate((x, made) for made in LoraLinears.apply(x, scales, *tensors)))
            given, made = waiting.pop(number, (None, None))
            if given is x:
                return made
            alone = tensors[4 * number : 4 * number + 4]
            return LoraLinears.apply(x, scales[number : number + 1], *alone)[0]

        return forward

    for number, layer in enumerate(layers):
        layer.forward = way(number, layer.forward)


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
    return callable(getattr(module, "act_fn", None)) and bool(_children(module, "gate", "up", "down"))


def _mlp(module: Any) -> Callable[..., Any]:
    layers, original = _children(module, "gate", "up", "down"), module.forward
    scales, tensors = _tensors(layers)

    def forward(x: Any) -> Any:
        if _bare(layers):
            return original(x)
        return GatedMlp.apply(x, module.act_fn, scales, *tensors)

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
