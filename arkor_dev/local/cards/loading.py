"""How to load the result, as code to copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BASE: Final = "path/to/the/base"
HERE: Final = "path/to/this/folder"
PEFT: Final = """```python
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base = "{base}"
tokenizer = AutoTokenizer.from_pretrained(base)
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), "{here}")
```"""
WHOLE: Final = """```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{here}")
model = AutoModelForCausalLM.from_pretrained("{here}")
```"""
LLAMA: Final = """```sh
python convert_lora_to_gguf.py --base {base} --outfile adapter.gguf {here}
llama-cli -m base.gguf --lora adapter.gguf
```"""
OLLAMA: Final = """```sh
llama-export-lora -m base.gguf --lora adapter.gguf -o model.gguf
echo "FROM ./model.gguf" > Modelfile
ollama create my-model
```"""
MERGED_FOR_OLLAMA: Final = (
    "With Ollama, which has not accepted adapters since version 0.34.1, after merging with llama.cpp:"
)

GGUF: Final = """```sh
llama-cli -m model.gguf
```"""
GGUF_LORA: Final = """```sh
llama-cli -m base.gguf --lora adapter.gguf
```"""


def loading(
    hub: str | None, adapter: bool, settings: Mapping[str, Any], *, gguf: bool = False
) -> Iterator[str]:
    """Yield the section's paragraphs; ``hub`` is the base's id there, if it has one; ``gguf``: for
    llama.cpp.
    """
    if gguf:
        yield "With llama.cpp" + (", where `base.gguf` is the same base:" if adapter else ":")
        yield GGUF_LORA if adapter else GGUF
        if adapter:
            yield MERGED_FOR_OLLAMA
            yield OLLAMA
        return
    if not adapter:
        yield WHOLE.format(here=HERE)
        return
    yield PEFT.format(base=hub or BASE, here=HERE)
    if settings.get("useDora") or settings.get("loraModulesToSave"):
        yield "llama.cpp and Ollama cannot load this kind of adapter: merge it into its base first."
        return
    yield (
        "With llama.cpp, whose script converts the adapter to GGUF for supported models (`base.gguf` is "
        "the same base):"
    )
    yield LLAMA.format(base=BASE, here=HERE)
    yield MERGED_FOR_OLLAMA
    yield OLLAMA
