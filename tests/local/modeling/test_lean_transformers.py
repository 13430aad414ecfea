"""transformers without its list of all models is the same library: its tokenizers, models and names."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from .lean_processes import needs_forks

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine

CLASSES = {
    # By what a folder names: whether all models have to be read for it.
    "PreTrainedTokenizerFast": False,
    "LlamaTokenizerFast": False,
    "GPT2Tokenizer": False,
    "Qwen2TokenizerFast": False,
    "..os.No Tokenizer": False,
    "NoSuchTokenizer": True,  # the last: what was read for another is there
}
NAMES = (
    "AutoModelForCausalLM",
    "Adafactor",
    "BloomPreTrainedModel",
    "LlamaForCausalLM",
    "LlamaTokenizerFast",
    "GgufConfig",
    "CLIPImageProcessor",
    "XLMRobertaTokenizerFast",
    "FNetTokenizer",
    "models.llama.LlamaConfig",
    "models.LlamaConfig",
    "tokenization_utils_fast.PreTrainedTokenizerFast",
    "NoSuchModel",
    "models.no_such_model",
)
"""Of the library, of a model, an older name of either, and of nothing at all."""
BEGIN = """
import json, sys
from pathlib import Path
read = set()
def look(event, about):
    if event == "open" and about[1] == "r" and str(about[0]).endswith(".py"):
        path = Path(about[0])
        if "transformers" in path.parts and "models" in path.parts:
            read.add(path.parent)
sys.addaudithook(look)
way, *asked = sys.argv[1:]
if way == "lean":
    from arkor_dev.local.modeling import lean_torch, lean_transformers
    lean_torch.install()
    lean_transformers.install()
else:  # a version of the library that is built otherwise is imported as it is
    from arkor_dev.local.modeling import lean_transformers
    def put_off(reader):
        reader.define_import_structure = None
    before, lean_transformers._defer_list = [*sys.meta_path], put_off
    lean_transformers.install()
    assert not any(name.partition(".")[0] == "transformers" for name in sys.modules)
    assert sys.meta_path == before
"""
TOKENIZERS = f"""
import sys
sys.modules["torch"] = None
{BEGIN}
from arkor_dev.local.modeling.tokenizer import load_context, load_tokenizer
told, models = [], []
for folder in map(Path, asked):
    tokenizer = load_tokenizer(folder)
    chat = [{{"role": "user", "content": "Where is it?"}}, {{"role": "assistant", "content": "<|im_end|>."}}]
    text = tokenizer.apply_chat_template(chat, tokenize=False)
    coding = tokenizer(text, return_offsets_mapping=True)
    told.append([
        type(tokenizer).__qualname__, tokenizer.backend_tokenizer.to_str(), tokenizer.special_tokens_map,
        sorted(tokenizer.all_special_ids), text, coding["input_ids"], coding["offset_mapping"],
        load_context(folder),
    ])
    models.append(len(read))
print(json.dumps({{"told": told, "read": models}}))
"""
OBJECTS = """
import transformers
told = []
for name in asked[1:]:
    found = transformers
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except (AttributeError, ImportError) as error:
        told.append([name, type(error).__name__, str(error)])
    else:
        told.append([name, found.__module__, found.__qualname__])
public = sorted(each for each in dir(transformers) if each[0] != "_")
answer = {"told": told, "all": public}
"""


def look(code: str, way: str, *asked: Path | str) -> dict[str, Any]:
    """What a process of its own says."""
    done = subprocess.run(
        [sys.executable, "-c", code, way, *map(str, asked)], check=True, capture_output=True, text=True
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
    """And all models are read only where they are asked for, which takes the processor's time."""
    lean, whole = (look(TOKENIZERS, way, *folders.values()) for way in ("lean", "whole"))
    assert len(lean["told"]) == len(CLASSES)
    for name, one, other, models in zip(folders, lean["told"], whole["told"], lean["read"], strict=True):
        assert one == other, name
        assert models > 300 if CLASSES[name] else 0 < models < 20, name


@needs_forks
def test_every_name_is_the_same(by_way: dict[str, dict[str, Any]]) -> None:
    """Also one that an older version had, one that needs a package that is not here, and one of nothing."""
    lean, whole = by_way["lean"]["names"], by_way["whole"]["names"]
    assert [name for name, *_ in lean["told"]] == list(NAMES)
    assert lean["told"] == whole["told"]
    assert lean["all"] == whole["all"]
