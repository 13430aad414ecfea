"""Processes of their own that load torch and transformers, lean or whole, and say what is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Final

import pytest

needs_forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="each begins anew by it")
BEGIN: Final = """
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
"""Has ``asked``, the arguments; ``read``, models that were read; ``compiler`` and ``heavy``."""
EACH: Final = f"""
{BEGIN}
import os, traceback
import transformers, peft  # most of which each would import
codes, *asked = asked
def forked(find, *about):
    given, write = os.pipe()
    child = os.fork()  # each begins with what is loaded by now
    if not child:
        try:
            with os.fdopen(write, "w") as file:
                json.dump(find(*about), file)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(write)
    with os.fdopen(given) as file:
        found = json.loads(file.read() or "null")
    assert os.waitpid(child, 0)[1] == 0, about
    return found
def answer_of(code):
    exec(code, globals())
    return answer
print(json.dumps({{name: forked(answer_of, code) for name, code in json.loads(codes).items()}}))
"""


def look(code: str, way: str, *asked: str) -> Any:
    """What a process of its own prints, in which the libraries are loaded that ``way``."""
    argv = [sys.executable, "-W", "ignore", "-c", code, way, *asked]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def answers(codes: dict[str, str], way: str, *asked: str) -> dict[str, Any]:
    """The ``answer`` of each of ``codes``, as forks of one process that has loaded the libraries find it."""
    told: dict[str, Any] = look(EACH, way, json.dumps(codes), *asked)
    return told
