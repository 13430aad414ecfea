"""What a large model takes of a GPU, counted without one: tensors that have a shape and no numbers."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from peft import LoraConfig, get_peft_model
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary
from transformers import LlamaConfig, LlamaForCausalLM

from arkor_dev.local.cpu_kernels.packing import pack_rows
from arkor_dev.local.cpu_kernels.patch_model import use_packed_attention
from arkor_dev.local.modeling.example import Example
from arkor_dev.local.training import objective as module
from arkor_dev.local.training.methods.sft.loss import CrossEntropy
from arkor_dev.local.training.training_hooks import gradient_checkpointing

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]
LAYERS = 32
FEW, MORE = 1, 2
"""Layers that are counted; each further one takes as much as the last."""
NF4 = 0.5 + 1 / 64 + 4 / 64 / 256
"""Bytes of a weight in 4 bit: with a byte as the scale of 64 weights, and a float32 as that of 256 scales."""
PROJECTIONS = ("q", "k", "v", "o", "gate", "up", "down")


class _Product(torch.autograd.Function):  # type: ignore[misc]
    """As bitsandbytes: the weight is multiplied out for each product, forward and backward."""

    @staticmethod
    def forward(ctx: Any, x: Any, packed: Any, shape: tuple[int, int]) -> Any:
        ctx.packed, ctx.shape = packed, shape
        return x @ torch.empty(shape, dtype=torch.bfloat16, device=x.device).t()

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, None, None]:
        return grad @ torch.empty(ctx.shape, dtype=torch.bfloat16, device=grad.device), None, None


class Quantized(torch.nn.Linear):  # type: ignore[misc]
    """A linear layer of which only as many bytes are there as its 4-bit weights take."""

    packed: Any

    def __init__(self, layer: Any) -> None:
        super().__init__(layer.in_features, layer.out_features, bias=False)
        self.weight.requires_grad_(False)

    def forward(self, x: Any) -> Any:
        return _Product.apply(x.to(torch.bfloat16), self.packed, (self.out_features, self.in_features))


class Counting(TorchDispatchMode):  # type: ignore[misc]
    """Counts the bytes of all tensors on the GPU, and the operations."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = self.operations = 0
        self._seen: Any = WeakIdKeyDictionary()

    def count(self, tensor: Any) -> None:
        storage = tensor.untyped_storage()
        if tensor.device.type == "cpu" and storage not in self._seen:
            self._seen[storage] = True
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._free, storage.nbytes())

    def _free(self, size: int) -> None:
        self.now -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.operations += 1
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self.count(leaf)
        return result


def llama(layers: int) -> Any:
    """Llama 3.1 8B with so many layers, quantized, with an adapter on all of them."""
    config = LlamaConfig(
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=layers,
        num_attention_heads=32,
        num_key_value_heads=8,
        vocab_size=128256,
        tie_word_embeddings=False,
        use_cache=False,
        attn_implementation="sdpa",
    )
    with torch.device("meta"):
        model = LlamaForCausalLM._from_config(config, dtype=torch.bfloat16)
        for block in model.model.layers:
            for part in (block.self_attn, block.mlp):
                for name, layer in list(part.named_children()):
                    if isinstance(layer, torch.nn.Linear):
                        setattr(part, name, Quantized(layer))
        targets = [f"{name}_proj" for name in PROJECTIONS]
        return get_peft_model(model, LoraConfig(r=8, target_modules=targets, task_type="CAUSAL_LM")).train()


def place(model: Any) -> None:
    """Give every weight of ``model`` its bytes: 4-bit ones what they take, those that learn float32."""
    for part in model.modules():
        for name, weight in list(part.named_parameters(recurse=False)):
            learns = weight.requires_grad and isinstance(part, torch.nn.Linear) and part.weight is weight
            if isinstance(part, Quantized):
                part.packed = torch.empty(round(NF4 * weight.numel()), dtype=torch.uint8)
                continue
            made = torch.empty(weight.shape, dtype=torch.float32 if learns else weight.dtype)
            setattr(part, name, torch.nn.Parameter(made, requires_grad=learns))
        for name, buffer in list(part.named_buffers(recurse=False)):
            part.register_buffer(name, torch.empty(buffer.shape, dtype=buffer.dtype), persistent=False)


def objective(model: Any) -> CrossEntropy:
    """The loss as a run has it on a GPU; what it tries out at its beginning needs numbers."""
    loss = object.__new__(CrossEntropy)
    loss.model, loss.device, loss._dtype, loss._noisy = model, "cpu", torch.bfloat16, False
    loss._inner, loss._keeps_logits, loss._casts = model.get_base_model(), True, True
    loss.padded, loss.fused, loss._smoothing = use_packed_attention(loss._inner), True, 0.0
    loss._penalized = None
    return loss


def step_of(layers: int) -> tuple[int, int]:
    """The most bytes of the second step on 4 rows of 1,024 tokens, and its operations."""
    rows = [Example([1 + (7 * place + row) % 1000 for place in range(1024)], [1] * 1024) for row in range(4)]
    counting = Counting()
    model = llama(layers)
    with FakeTensorMode(), counting:
        place(model)
        gradient_checkpointing(model)
        loss = objective(model)
        learning = [weight for weight in model.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(learning, lr=1e-4)
        for _ in range(2):
            counting.peak, counting.operations = counting.now, 0
            loss(rows)[0].backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return counting.peak, counting.operations


def test_llama_8b_in_4_bit_fits_into_9_gb(monkeypatch: pytest.MonkeyPatch) -> None:
    """4 rows of 1,024 tokens, all of them learned, and 32 layers. A GPU has no groups of rows."""
    monkeypatch.setattr(module, "pack_rows", lambda *args, **how: replace(pack_rows(*args, **how), groups=()))
    (few, less), (more, many) = step_of(FEW), step_of(MORE)
    peak = few + (more - few) // (MORE - FEW) * (LAYERS - FEW)
    operations = less + (many - less) // (MORE - FEW) * (LAYERS - FEW)
    print(f"{peak / 1e9:.2f} GB, {operations:,} operations")  # noqa: T201 - figures for docs/hardware.md
    assert peak <= 9e9
