"""torch without its compiler learns the same bits; who asks for the compiler gets the real one."""

from __future__ import annotations

from typing import Any

import pytest

from .lean_processes import look, needs_forks

pytestmark = pytest.mark.engine

LEARNS = """
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
torch.manual_seed(0)
model = AutoModelForCausalLM.from_pretrained(asked[0])
model = get_peft_model(model, LoraConfig(target_modules=["q_proj"], lora_dropout=0.1))
model.train()
optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], 1e-2)
told = []
for step in range(3):
    ids = torch.arange(12).reshape(2, 6) + step
    loss = model(ids, attention_mask=torch.ones_like(ids), labels=ids).loss
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    told.append(loss.item())
optimizer.load_state_dict(optimizer.state_dict())
answer = {"told": told, "compiler": compiler(), "heavy": heavy(), "read": len(read)}
if way == "lean":
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        model.unload().save_pretrained(folder)
    answer["saved"] = {"compiler": compiler(), "heavy": heavy()}
"""
ASKED = {
    "a part of a part, and a setting beside sharded tensors": """
from torch._dynamo.variables.base import VariableTracker
found = torch.distributed.tensor.DTensor, torch._dynamo.config.recompile_limit
""",
    "functions that are not compiled, or as they are": """
seen = []
@torch.compiler.disable(reason="x")
def found():
    seen.append(torch.compiler.is_compiling())
@torch.compiler.allow_in_graph
def whole(x):
    return x + 1
def outer(x):
    found()
    return whole(x)
outer(torch.ones(1))
assert not compiler()
assert torch.compile(outer, backend="eager")(torch.ones(1)) == 2
assert torch.compile(whole, backend="eager", fullgraph=True)(torch.ones(1)) == 2
assert seen == [False, False]
""",
    "a mask": """
from torch._dynamo._trace_wrapped_higher_order_op import TransformGetItemToIndex as found
assert not compiler()
x = torch.arange(4)
with found():
    assert torch.vmap(lambda n: x[n])(x).tolist() == x.tolist()
""",
}
ASK = f"""
import sympy, torch.fx.experimental.symbolic_shapes  # which the compiler needs as well: once for all
def asked_for(code):
    exec(code, globals())
    assert compiler()
    import torch._dynamo, torch._dynamo.config
    assert torch._dynamo is sys.modules["torch._dynamo"]
    assert torch._dynamo.config is sys.modules["torch._dynamo.config"]
    assert torch._dynamo.__file__ and torch._dynamo.config.__spec__.origin
    return True
assert not compiler()
answer = {{name: forked(asked_for, code) for name, code in {ASKED!r}.items()}}
"""


@needs_forks
def test_it_learns_the_same_without_the_compiler(by_way: dict[str, dict[str, Any]]) -> None:
    lean, whole = by_way["lean"]["learns"], by_way["whole"]["learns"]
    assert (lean["compiler"], whole["compiler"]) == (False, True)
    # Of transformers 4 tensors of several machines are a part that cannot be left out.
    assert "torch._inductor" not in lean["heavy"]
    assert set(lean["heavy"]) < set(whole["heavy"])
    assert lean["read"] < 20, "all models were read for one"
    # A model that is saved is asked whether it is compiled, or lies on several machines.
    assert not lean["saved"]["compiler"]
    assert not {"torch._inductor", "torch.distributed.fsdp"} & set(lean["saved"]["heavy"])
    assert lean["told"] == whole["told"]


@needs_forks
def test_who_asks_for_the_compiler_gets_the_real_one(by_way: dict[str, dict[str, Any]]) -> None:
    assert by_way["lean"]["asks"] == dict.fromkeys(ASKED, True)


BLOCKED = """
import sys
sys.modules["torch"] = None
from arkor_dev.local.modeling import lean_torch
lean_torch.install()
assert "torch._dynamo" not in sys.modules
print("1")
"""


def test_where_torch_is_left_out_nothing_stands_in() -> None:
    assert look(BLOCKED, "lean") == 1
