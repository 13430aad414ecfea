"""The limited child process that creates one GGUF file, with llama.cpp's own converters or its quantizer.

What the converters omit, or write differently from the training, is set here: the pre-tokenizer if they do
not know the tokenizer, the chat template, the start token and every token that ends an answer.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.regular_files import read_small
from arkor_dev.local.modeling.lean_transformers import lean_imports
from arkor_dev.local.workers.errors import JobFailure, out_of_memory
from arkor_dev.local.workers.link import serve_one

from .limited import hold_to
from .quantizing import quantize

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from arkor_dev.local.workers.link import Link

PROBE: Final = [{"role": "user", "content": "Hello"}]
PHI: Final = "phi-3"
PIECES: Final = "llama"
"""llama.cpp's name of a SentencePiece vocabulary."""


def convert_model(order: Mapping[str, Any], scratch: Path) -> None:
    """Convert a complete model in transformers' format to a 16-bit GGUF file."""
    source, target = Path(order["source"]), Path(order["target"])
    script = _script(Path(order["converters"]), "convert_hf_to_gguf")
    tokenizer, ends = _tokenizer_of(source)
    _say_as_trained(source, tokenizer, ends, scratch)
    name = _name_of(order["name"], source, tokenizer)
    arguments = ["--outfile", str(target), "--outtype", order["type"], "--model-name", name]
    _main(script, [*arguments, str(source)])


def convert_lora(order: Mapping[str, Any], scratch: Path) -> None:
    """Convert a LoRA adapter in PEFT's format to a GGUF file, scaled by ``strength``."""
    from .lora import plain_adapter

    adapter = plain_adapter(Path(order["source"]), scratch / "adapter", float(order["strength"]))
    folder = Path(order["converters"])
    _script(folder, "convert_hf_to_gguf")
    arguments = ["--outfile", order["target"], "--outtype", "f32", "--base", order["base"], str(adapter)]
    sys.argv = ["convert_lora_to_gguf.py", *arguments]
    try:
        runpy.run_path(str(folder / "convert_lora_to_gguf.py"), run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise JobFailure("llama.cpp's converter does not accept this adapter") from None


def _script(folder: Path, name: str) -> Any:
    """Import a converter with the ``gguf`` package that it was written for."""
    sys.path[:0] = [str(folder), str(folder / "gguf-py")]
    with lean_imports():
        return __import__(name)


def _main(script: Any, arguments: list[str]) -> None:
    sys.argv = [f"{script.__name__}.py", *arguments]
    try:
        script.main()
    except SystemExit as end:
        if end.code:
            raise JobFailure("llama.cpp's converter does not support this architecture") from None
    except NotImplementedError as error:
        raise JobFailure(f"llama.cpp's converter does not support this model: {error}") from None


def _tokenizer_of(source: Path) -> tuple[Any, list[int]]:
    """Return the tokenizer as used in training, and the tokens that end an answer."""
    from arkor_dev.local.modeling.chat_template import end_ids
    from arkor_dev.local.modeling.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(source)
    told: dict[str, Any] = {}
    for name in ("config.json", "generation_config.json"):
        if (source / name).is_file():
            told |= json.loads(read_small(source / name))
    ends = SimpleNamespace(eos_token_id=told.get("eos_token_id"))
    return tokenizer, end_ids(tokenizer, SimpleNamespace(generation_config=ends))


def _name_of(name: str, source: Path, tokenizer: Any) -> str:
    """Return llama.cpp's tokens of texts by a file's vocabulary. Raises ValueError for an invalid file."""
    kind = json.loads(read_small(source / "config.json")).get("model_type")
    strips = any(added.rstrip for added in tokenizer.added_tokens_decoder.values())
    return f"{name} {PHI}" if kind == "phi3" and strips and PHI not in name.lower() else name


def _say_as_trained(source: Path, tokenizer: Any, ends: list[int], scratch: Path) -> None:
    """Make the converter reproduce the training's tokenizer and template."""
    import gguf
    from conversion import TextModel

    from .pretokenizer import space_before, with_added_tokens

    kinds, keys = gguf.GGUFValueType, gguf.Keys.Tokenizer
    right_metadata, right_way = TextModel.prepare_metadata, TextModel.get_vocab_base_pre
    right_pieces = TextModel._create_vocab_sentencepiece  # noqa: SLF001 - there is no other place for it
    known: dict[str, Any] = {}

    def prepare_metadata(self: Any, vocab_only: bool) -> None:
        right_metadata(self, vocab_only=vocab_only)
        values = self.gguf_writer.kv_data[0]

        def tell(key: str, value: object, kind: Any) -> None:
            values.pop(key, None)
            self.gguf_writer.add_key_value(key, value, kind)

        # A start token that the template does not write is one that the training never saw.
        text = tokenizer.apply_chat_template(PROBE, tokenize=False, add_generation_prompt=True)
        both = tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer("x")["input_ids"]
        start = tokenizer.bos_token_id
        tell(keys.ADD_BOS, start is not None and all(ids[:1] == [start] for ids in both), kinds.BOOL)
        if isinstance(tokenizer.chat_template, str):
            tell(keys.CHAT_TEMPLATE, tokenizer.chat_template, kinds.STRING)
        # llama.cpp has two fields for tokens that end an answer.
        ordered = sorted(ends, key=lambda token: token != tokenizer.eos_token_id)
        for key, token in zip((keys.EOS_ID, keys.EOT_ID), ordered, strict=False):
            tell(key, token, kinds.UINT32)

        def tokens(space: bool, texts: Sequence[str]) -> list[list[int]]:
            known["space"] = space
            return _tokens_of(_vocabulary_alone(self, scratch / f"vocabulary-{space}.gguf"), texts)

        if keys.MODEL in values and values[keys.MODEL].value == PIECES:
            before = values[keys.ADD_PREFIX].value if keys.ADD_PREFIX in values else True
            if "space" not in known:
                known["space"] = before
                known["space"] = space_before(tokenizer, before, tokens)
            tell(keys.ADD_PREFIX, known["space"], kinds.BOOL)

    def way(self: Any, its_tokenizer: Any) -> str:
        if "now" in known:
            return str(known["now"])
        if "found" not in known:
            try:
                digest = str(right_way(self, its_tokenizer))
            except NotImplementedError:
                digest = None
            known["found"] = _tried(self, source, tokenizer, scratch, known, digest)
        return str(known["found"])

    def pieces(self: Any) -> Any:
        return with_added_tokens(tokenizer, *right_pieces(self))

    TextModel.prepare_metadata, TextModel.get_vocab_base_pre = prepare_metadata, way
    TextModel._create_vocab_sentencepiece = pieces  # noqa: SLF001


def _vocabulary_alone(model: Any, path: Path) -> Path:
    """Write a file with everything that the converter knows about ``model`` except the weights."""
    import gguf

    writer, target = model.gguf_writer, model.fname_out
    model.gguf_writer = gguf.GGUFWriter(path=None, arch=gguf.MODEL_ARCH_NAMES[model.model_arch])
    model.fname_out = path
    try:
        model.write_vocab()
    finally:
        model.gguf_writer, model.fname_out = writer, target
    return path


def _tokens_of(path: Path, texts: Sequence[str]) -> list[list[int]]:
    """Return llama.cpp's tokens of texts by a file's vocabulary. Raises ValueError if it cannot read the
    file.
    """
    from .llama_vocabulary import quiet, vocabulary_of

    quiet()
    with vocabulary_of(path) as vocabulary:
        return [vocabulary.tokens(text, add_special=False) for text in texts]


def _tried(
    model: Any, source: Path, tokenizer: Any, scratch: Path, known: dict[str, Any], digest: str | None
) -> str:
    """Return the pre-tokenizer with which llama.cpp makes this tokenizer's tokens. Raises JobFailure."""
    from .pretokenizer import way_of

    def written(name: str) -> Path:
        known["now"] = name
        try:
            return _vocabulary_alone(model, scratch / f"vocabulary-{name}.gguf")
        finally:
            del known["now"]

    def tokens(name: str, texts: Sequence[str]) -> list[list[int]]:
        return _tokens_of(written(name), texts)

    found = way_of(tokenizer, source / "tokenizer.json", tokens, digest)
    if found is None:
        raise JobFailure(
            "llama.cpp cannot tokenize like this model's tokenizer, so GGUF is impossible: choose the "
            "format merged or adapter"
        )
    return found


WORK: Final[Mapping[str, Callable[[Mapping[str, Any], Path], None]]] = {
    "model": convert_model,
    "lora": convert_lora,
    "quantize": quantize,
}


def main() -> None:
    serve_one(_done, _reason)


def _done(order: dict[str, Any], _link: Link) -> dict[str, Any]:
    hold_to(order["memory"])
    WORK[order["work"]](order, Path(order["scratch"]))
    return {"answer": True}


def _reason(error: Exception) -> str:
    if out_of_memory(error):
        return "The conversion needs more memory than its limit: the model is too large for this machine"
    return f"llama.cpp's converter failed: {type(error).__name__}: {str(error)[:500]}"


if __name__ == "__main__":
    main()
