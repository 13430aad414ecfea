"""torch without its compiler learns the same bits; who asks for the compiler gets the real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine

BEGIN = """
import json, sys
way, *asked = sys.argv[1:]
read = set()
def look(event, about):
    if event == "open" and about[1] == "r" and str(about[0]).endswith(".py"):
        folder, _, _ = str(about[0]).rpartition("/")
        if "/transformers/models/" in folder:
            read.add(folder)
sys.addaudithook(look)
if way == "lean":
    import gc
    from arkor_dev.local.modeling import lean_torch, lean_transformers
    with lean_torch.no_collection():
        assert not gc.isenabled()
        lean_torch.install()
        lean_transformers.install()
    assert gc.isenabled() and gc.get_freeze_count() > 10_000
    gc.unfreeze()
    with lean_torch.no_collection():  # all is there already
        assert gc.isenabled()
    assert gc.get_freeze_count() == 0
import torch
def compiler():
    return "torch._dynamo.eval_frame" in sys.modules
def heavy():
    known = ("torch._inductor", "torch.distributed.tensor", "torch.distributed.fsdp")
    return [each for each in known if each in sys.modules]
"""
LEARNS = f"""
{BEGIN}
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM
told = {{}}
for name in ("AdamW", "SGD"):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(asked[0])
    model = get_peft_model(model, LoraConfig(target_modules=["q_proj"], lora_dropout=0.1))
    model.train()
    optimizer = getattr(torch.optim, name)([each for each in model.parameters() if each.requires_grad], 1e-2)
    losses = []
    for step in range(3):
        ids = torch.arange(12).reshape(2, 6) + step
        loss = model(ids, attention_mask=torch.ones_like(ids), labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    optimizer.load_state_dict(optimizer.state_dict())
    told[name] = losses
print(json.dumps({{"told": told, "compiler": compiler(), "heavy": heavy(), "read": len(read)}}))
"""
ASKED = {
    "a part of a part": "from torch._dynamo.variables.base import VariableTracker as found",
    "a name": "from torch._dynamo import optimize as found",
    "a setting": "found = torch._dynamo.config; found.recompile_limit",
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
    "sharded tensors": "found = torch.distributed.tensor.DTensor; torch._dynamo.config",
}
ASK = f"""
{BEGIN}
import os, traceback
def asked_for(code):
    exec(code, globals())
    assert compiler()
    import torch._dynamo, torch._dynamo.config
    assert torch._dynamo is sys.modules["torch._dynamo"]
    assert torch._dynamo.config is sys.modules["torch._dynamo.config"]
    assert torch._dynamo.__file__ and torch._dynamo.config.__spec__.origin
assert not compiler()
told = {{}}
for name, code in json.loads(asked[0]).items():
    child = os.fork()  # each begins without the compiler
    if not child:
        try:
            asked_for(code)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    told[name] = os.waitpid(child, 0)[1]
print(json.dumps(told))
"""


def look(code: str, way: str, *asked: Path | str) -> Any:
    """What a process of its own says."""
    argv = [sys.executable, "-W", "ignore", "-c", code, way, *map(str, asked)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_learns_the_same_without_the_compiler(tiny: Path) -> None:
    lean, whole = look(LEARNS, "lean", tiny), look(LEARNS, "whole", tiny)
    assert (lean["compiler"], whole["compiler"]) == (False, True)
    # Of transformers 4 tensors of several machines are a part that cannot be left out.
    assert "torch._inductor" not in lean["heavy"]
    assert set(lean["heavy"]) < set(whole["heavy"])
    assert lean["read"] < 20, "all models were read for one"
    assert lean["told"] == whole["told"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="each begins anew by it")
def test_who_asks_for_the_compiler_gets_the_real_one() -> None:
    assert look(ASK, "lean", json.dumps(ASKED)) == dict.fromkeys(ASKED, 0)


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
