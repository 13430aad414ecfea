"""A tokenizer by the short way is the tokenizer by the long one, whatever class its folder names."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine

CLASSES = {
    # By what a folder names: whether the whole of transformers has to be asked for it.
    "PreTrainedTokenizerFast": False,
    "LlamaTokenizerFast": False,
    "GPT2Tokenizer": False,
    "Qwen2TokenizerFast": False,
    "NoSuchTokenizer": True,
    "..os.No Tokenizer": False,
}
LOOK = """
import json, resource, sys
from pathlib import Path
sys.modules["torch"] = None
if sys.argv[1] == "lean":
    from arkor_dev.local.modeling import lean_transformers
    lean_transformers.install()
from arkor_dev.local.modeling.tokenizer import load_context, load_tokenizer
used = resource.getrusage(resource.RUSAGE_SELF)
told = []
for folder in map(Path, sys.argv[2:]):
    tokenizer = load_tokenizer(folder)
    chat = [{"role": "user", "content": "Where is it?"}, {"role": "assistant", "content": "<|im_end|>."}]
    text = tokenizer.apply_chat_template(chat, tokenize=False)
    coding = tokenizer(text, return_offsets_mapping=True)
    told.append([
        type(tokenizer).__qualname__, tokenizer.backend_tokenizer.to_str(), tokenizer.special_tokens_map,
        sorted(tokenizer.all_special_ids), text, coding["input_ids"], coding["offset_mapping"],
        load_context(folder),
    ])
lean = [type(sys.modules[name]).__name__ == "_StandIn" for name in ("transformers", "transformers.models")]
print(json.dumps({"told": told, "lean": lean, "seconds": used.ru_utime + used.ru_stime}))
"""


def look(way: str, *folders: Path) -> dict[str, Any]:
    """What a process of its own says of the tokenizers."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK, way, *map(str, folders)], check=True, capture_output=True, text=True
    )
    value: dict[str, Any] = json.loads(done.stdout)
    return value


@pytest.fixture(scope="module")
def folders(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tiny model's folder, once for each class."""
    made = {}
    for name in CLASSES:
        made[name] = tmp_path_factory.mktemp("models") / name
        shutil.copytree(tiny, made[name], ignore=shutil.ignore_patterns("*.safetensors"))
        path = made[name] / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"tokenizer_class": name}))
    return made


def test_every_class_of_tokenizer_is_the_same(folders: dict[str, Path]) -> None:
    """And the short way takes at most three quarters of the processor's time."""
    lean, whole = look("lean", *folders.values()), look("whole", *folders.values())
    assert len(lean["told"]) == len(CLASSES)
    for name, one, other in zip(folders, lean["told"], whole["told"], strict=True):
        assert one == other, name
    assert lean["seconds"] < 0.75 * whole["seconds"]


def test_the_whole_is_loaded_only_where_it_is_asked_for(folders: dict[str, Path]) -> None:
    usual = [folder for name, folder in folders.items() if not CLASSES[name]]
    assert look("lean", *usual)["lean"] == [True, True]
    assert look("lean", folders["NoSuchTokenizer"])["lean"][0] is False


OTHERWISE = """
import sys
sys.modules["torch"] = None
from arkor_dev.local.modeling import lean_transformers
lean_transformers.AUTO["AutoTokenizer"] = "transformers.models.auto.no_such_module"
lean_transformers.install()
assert "transformers" not in sys.modules
from transformers import AutoTokenizer
print(AutoTokenizer.__name__)
"""


def test_a_version_that_is_built_otherwise_is_imported_as_it_is() -> None:
    done = subprocess.run([sys.executable, "-c", OTHERWISE], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "AutoTokenizer"
