"""The limited child process that creates one GGUF file, with llama.cpp's own converters or its quantizer.

Fields that the converters omit, or that differ from the training, are set here: the pre-tokenizer if they do
not know the tokenizer, the chat template, the start token and every token that ends an answer.
"""

from __future__ import annotations

import json
import runpy
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.regular_files import read_small
from arkor_dev.contract.settings.embedding import MEAN
from arkor_dev.local.modeling.embedder import Embedder, is_embedder
from arkor_dev.local.workers.errors import JobFailure, out_of_memory
from arkor_dev.local.workers.link import serve

from .limited import limit_memory
from .messages import CONVERSIONS, CheckSupport, ConvertLora, ConvertModel, Quantize, TaskDone
from .quantizing import quantize

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch.nn import Module
    from transformers import PreTrainedTokenizerBase

    from arkor_dev.contract.json_types import JsonObject
    from arkor_dev.local.workers.link import Link

    from .messages import Conversion

PROBE: Final = [{"role": "user", "content": "Hello"}]
PHI: Final = "phi-3"
PIECES: Final = "llama"
"""llama.cpp's name for a SentencePiece vocabulary."""


def check_support(request: CheckSupport) -> None:
    """Raise JobFailure if llama.cpp's converter does not know the architecture of the model in ``source``."""
    from transformers import AutoConfig

    from arkor_dev.local.modeling.auto_class import model_class

    script = _script(request.converters, "convert_hf_to_gguf")
    config = AutoConfig.from_pretrained(request.source, trust_remote_code=False, local_files_only=True)
    name = model_class(config).__name__  # with which the merged model is written
    hparams = {**config.to_dict(), "architectures": [name]}
    try:
        script.get_model_class(script.get_model_architecture(hparams, script.ModelType.TEXT))
    except NotImplementedError:
        raise JobFailure(
            f"llama.cpp's converter does not support this model's architecture ({name}): choose the format "
            "merged or adapter"
        ) from None


def convert_model(request: ConvertModel) -> None:
    """Convert a complete model in transformers' format to a 16-bit GGUF file."""
    source = request.source
    script = _script(request.converters, "convert_hf_to_gguf")
    tokenizer, ends = _tokenizer_of(source)
    _match_training(source, tokenizer, ends, request.scratch)
    name = _name_of(request.name, source, tokenizer)
    arguments = ["--outfile", str(request.target), "--outtype", request.type, "--model-name", name]
    _run(script, [*arguments, str(source)])


def convert_lora(request: ConvertLora) -> None:
    """Convert a LoRA adapter in PEFT's format to a GGUF file, scaled by ``strength``."""
    from .lora import plain_adapter

    adapter = plain_adapter(request.source, request.scratch / "adapter", request.strength)
    folder = request.converters
    _script(folder, "convert_hf_to_gguf")
    where = ["--outfile", str(request.target), "--base", str(request.base)]
    arguments = [*where, "--outtype", "f32", str(adapter)]
    sys.argv = ["convert_lora_to_gguf.py", *arguments]
    try:
        runpy.run_path(str(folder / "convert_lora_to_gguf.py"), run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise JobFailure("llama.cpp's converter does not accept this adapter") from None


def _script(folder: Path, name: str) -> ModuleType:
    """Import a converter with the version of the ``gguf`` package that it was written for."""
    sys.path[:0] = [str(folder), str(folder / "gguf-py")]
    return __import__(name)


def _run(script: ModuleType, arguments: list[str]) -> None:
    sys.argv = [f"{script.__name__}.py", *arguments]
    try:
        script.main()
    except SystemExit as end:
        if end.code:
            raise JobFailure("llama.cpp's converter does not support this architecture") from None
    except NotImplementedError as error:
        raise JobFailure(f"llama.cpp's converter does not support this model: {error}") from None


def _tokenizer_of(source: Path) -> tuple[object, list[int]]:
    """Return the tokenizer as used in training, and the tokens that end an answer."""
    from arkor_dev.local.modeling.chat_template import end_ids
    from arkor_dev.local.modeling.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(source)
    config: JsonObject = {}
    for name in ("config.json", "generation_config.json"):
        if (source / name).is_file():
            config |= json.loads(read_small(source / name))
    ends = SimpleNamespace(eos_token_id=config.get("eos_token_id"))
    return tokenizer, end_ids(tokenizer, SimpleNamespace(generation_config=ends))


def _pooling_of(source: Path) -> int | None:
    """Return llama.cpp's number for the pooling of the embedder in ``source``; None if it is none."""
    from gguf import PoolingType

    if not is_embedder(source):
        return None
    return int(PoolingType.MEAN if Embedder.read(source).pooling == MEAN else PoolingType.LAST)


def _name_of(name: str, source: Path, tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the model's name, with "phi-3" added if llama.cpp needs it.

    llama.cpp strips the spaces after Phi-3's added tokens only in a file whose name contains "phi-3".
    """
    kind = json.loads(read_small(source / "config.json")).get("model_type")
    strips = any(added.rstrip for added in tokenizer.added_tokens_decoder.values())
    return f"{name} {PHI}" if kind == "phi3" and strips and PHI not in name.lower() else name


def _match_training(source: Path, tokenizer: PreTrainedTokenizerBase, ends: list[int], scratch: Path) -> None:
    """Make the converter reproduce the training's tokenizer and chat template."""
    import gguf
    from conversion import TextModel

    from .pretokenizer import adds_space, with_added_tokens

    kinds, keys = gguf.GGUFValueType, gguf.Keys.Tokenizer
    original_metadata, original_pretokenizer = TextModel.prepare_metadata, TextModel.get_vocab_base_pre
    original_pieces = TextModel._create_vocab_sentencepiece  # noqa: SLF001 - there is no public hook
    state: dict[str, Any] = {}

    def prepare_metadata(self: Any, vocab_only: bool) -> None:
        original_metadata(self, vocab_only=vocab_only)
        values = self.gguf_writer.kv_data[0]

        def set_value(key: str, value: object, kind: Any) -> None:
            values.pop(key, None)
            self.gguf_writer.add_key_value(key, value, kind)

        pooling = _pooling_of(source)
        if pooling is not None:
            set_value(gguf.Keys.LLM.POOLING_TYPE.format(arch=self.gguf_writer.arch), pooling, kinds.UINT32)
        start, starts = tokenizer.bos_token_id, [tokenizer("x")["input_ids"]]
        if pooling is None:  # an embedder's texts are in no template
            # A start token that the template does not write was never seen in training.
            text = tokenizer.apply_chat_template(PROBE, tokenize=False, add_generation_prompt=True)
            starts.append(tokenizer(text, add_special_tokens=False)["input_ids"])
        set_value(keys.ADD_BOS, start is not None and all(ids[:1] == [start] for ids in starts), kinds.BOOL)
        if isinstance(tokenizer.chat_template, str):
            set_value(keys.CHAT_TEMPLATE, tokenizer.chat_template, kinds.STRING)
        # llama.cpp has only two fields for tokens that end an answer.
        ordered = sorted(ends, key=lambda token: token != tokenizer.eos_token_id)
        for key, token in zip((keys.EOS_ID, keys.EOT_ID), ordered, strict=False):
            set_value(key, token, kinds.UINT32)

        def tokens(space: bool, texts: Sequence[str]) -> list[list[int]]:
            state["space"] = space
            return _tokens_of(_write_vocabulary(self, scratch / f"vocabulary-{space}.gguf"), texts)

        if keys.MODEL in values and values[keys.MODEL].value == PIECES:
            before = values[keys.ADD_PREFIX].value if keys.ADD_PREFIX in values else True
            if "space" not in state:
                state["space"] = before
                state["space"] = adds_space(tokenizer, before, tokens)
            set_value(keys.ADD_PREFIX, state["space"], kinds.BOOL)

    def pretokenizer(self: Any, its_tokenizer: Any) -> str:
        if "now" in state:
            return str(state["now"])
        if "found" not in state:
            try:
                digest = str(original_pretokenizer(self, its_tokenizer))
            except NotImplementedError:
                digest = None
            state["found"] = _find_pretokenizer(self, source, tokenizer, scratch, state, digest)
        return str(state["found"])

    def pieces(self: Any) -> Any:
        return with_added_tokens(tokenizer, *original_pieces(self))

    TextModel.prepare_metadata, TextModel.get_vocab_base_pre = prepare_metadata, pretokenizer
    TextModel._create_vocab_sentencepiece = pieces  # noqa: SLF001


def _write_vocabulary(model: Module, path: Path) -> Path:
    """Write a file with all that the converter knows about ``model`` except the weights."""
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
    """Tokenize ``texts`` with the vocabulary of a GGUF file. Raises ValueError for an unreadable file."""
    from .llama_vocabulary import quiet, vocabulary_of

    quiet()
    with vocabulary_of(path) as vocabulary:
        return [vocabulary.tokens(text, add_special=False) for text in texts]


def _find_pretokenizer(
    model: object,
    source: Path,
    tokenizer: object,
    scratch: Path,
    state: dict[str, object],
    digest: str | None,
) -> str:
    """Return the pre-tokenizer with which llama.cpp produces this tokenizer's tokens. Raises JobFailure."""
    from .pretokenizer import find_pretokenizer

    def vocabulary_file(name: str) -> Path:
        state["now"] = name
        try:
            return _write_vocabulary(model, scratch / f"vocabulary-{name}.gguf")
        finally:
            del state["now"]

    def tokens(name: str, texts: Sequence[str]) -> list[list[int]]:
        return _tokens_of(vocabulary_file(name), texts)

    name_found = find_pretokenizer(tokenizer, source / "tokenizer.json", tokens, digest)
    if name_found is None:
        raise JobFailure(
            "llama.cpp cannot tokenize like this model's tokenizer, so GGUF is impossible: choose the "
            "format merged or adapter"
        )
    return name_found


def main() -> None:
    serve(CONVERSIONS, _serve, _reason)


def _serve(request: Conversion, _link: Link) -> TaskDone:
    limit_memory(request.memory)
    match request:
        case CheckSupport():
            check_support(request)
        case ConvertModel():
            convert_model(request)
        case ConvertLora():
            convert_lora(request)
        case Quantize():
            quantize(request)
    return TaskDone()


def _reason(error: Exception) -> str:
    if out_of_memory(error):
        return "The conversion needs more memory than its limit: the model is too large for this machine"
    return f"llama.cpp's converter failed: {type(error).__name__}: {str(error)[:500]}"


if __name__ == "__main__":
    main()
