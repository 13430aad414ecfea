"""Converts the starter model's GGUF file to a folder in Hugging Face's format, with numpy alone.

transformers reads the same file in half a minute: its reader creates an array for each of 98,000 strings, and
it reads the file four times. Only what this one file contains is read here, since its hash is verified:
little-endian values, and tensors in F32, Q8_0 and Q4_1.
"""

from __future__ import annotations

import json
import mmap
import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from .catalog import STARTER_NOTE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Array = np.ndarray[Any, Any]
    Progress = Callable[[str, float, float | None, str], None]

TITLE: Final = "SmolLM2-135M-Instruct"
SCALARS: Final = dict(enumerate("BbHhIif?")) | {10: "Q", 11: "q", 12: "d"}
"""GGUF's types of metadata, as formats of `struct`."""
STRING: Final = 8
ARRAY: Final = 9
ALIGNMENT: Final = 32
BLOCK: Final = 32
"""Weights in a block of Q4_1 and Q8_0."""
F32: Final = 0
Q4_1: Final = np.dtype([("scale", "<f2"), ("minimum", "<f2"), ("nibbles", "u1", BLOCK // 2)])
Q8_0: Final = np.dtype([("scale", "<f2"), ("values", "i1", BLOCK)])
QUANTIZED: Final = {3: Q4_1, 8: Q8_0}
CHUNK: Final = 2**13
"""Blocks that are dequantized at once: they fit into a processor's cache."""
CONTROL: Final = 3
"""GGUF's type of a special token."""
NAMES: Final = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
OUTER_NAMES: Final = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
}


class Tensor(NamedTuple):
    """A tensor of a GGUF file: its shape, rows first, its quantization, and its bytes' position."""

    shape: tuple[int, ...]
    kind: int
    start: int


class _GgufReader:
    """Reads a GGUF file's ``metadata`` and the positions of its ``tensors``."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._position = data, 8  # after the magic number and the version
        tensors, entries = self._scalar("Q"), self._scalar("Q")
        self.metadata: dict[str, Any] = {}
        for _ in range(entries):
            name = self._string()
            self.metadata[name] = self._value(self._scalar("I"))
        listed = [self._tensor() for _ in range(tensors)]
        start = -(-self._position // ALIGNMENT) * ALIGNMENT
        self.tensors = {name: tensor._replace(start=start + tensor.start) for name, tensor in listed}

    def _scalar(self, form: str) -> Any:
        (value,) = struct.unpack_from(f"<{form}", self._data, self._position)
        self._position += struct.calcsize(f"<{form}")
        return value

    def _string(self) -> str:
        length = self._scalar("Q")
        self._position += length
        return self._data[self._position - length : self._position].decode()

    def _value(self, kind: int) -> Any:
        if kind == STRING:
            return self._string()
        if kind == ARRAY:
            kind, count = self._scalar("I"), self._scalar("Q")
            return [self._value(kind) for _ in range(count)]
        return self._scalar(SCALARS[kind])

    def _tensor(self) -> tuple[str, Tensor]:
        name = self._string()
        shape = [self._scalar("Q") for _ in range(self._scalar("I"))]
        return name, Tensor(tuple(reversed(shape)), self._scalar("I"), self._scalar("Q"))


def convert_starter(
    gguf: Path, folder: Path, progress: Callable[[str, float, float | None, str], None]
) -> None:
    """Convert ``gguf`` to bfloat16 safetensors: half of float32's size, exact enough for 4-bit weights."""
    folder.mkdir()
    with gguf.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        read = _GgufReader(data)
        _write_weights(folder / "model.safetensors", data, read, progress)
        fields = {name.removeprefix("tokenizer.ggml."): value for name, value in read.metadata.items()}
        files = {
            "config.json": _config(read.metadata),
            "generation_config.json": _ids(fields),
            "tokenizer.json": _tokenizer(fields),
            "tokenizer_config.json": _tokenizer_config(fields),
        }
        for name, content in files.items():
            text = json.dumps(content, indent=2, ensure_ascii=False)
            (folder / name).write_text(text, encoding="utf-8")
        template = read.metadata["tokenizer.chat_template"]
        (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    (folder / "README.md").write_text(f"# {TITLE}\n\n{STARTER_NOTE}.\n", encoding="utf-8")


def _write_weights(path: Path, data: mmap.mmap, read: _GgufReader, progress: Progress) -> None:
    heads = read.metadata["llama.attention.head_count"], read.metadata["llama.attention.head_count_kv"]
    rotated = {"attn_q": heads[0], "attn_k": heads[1]}
    tensors = sorted((_name(name), name, tensor) for name, tensor in read.tensors.items())
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    size = 0
    for name, _, tensor in tensors:
        end = size + 2 * int(np.prod(tensor.shape))
        header[name] = {"dtype": "BF16", "shape": tensor.shape, "data_offsets": [size, end]}
        size = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    done = 0
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, name, tensor in tensors:
            weights = _bfloat16(data, tensor)
            if count := rotated.get(name.split(".")[-2]):
                weights = _halves_first(weights, count)
            file.write(np.ascontiguousarray(weights).data)
            done += weights.nbytes
            progress(f"Converting {TITLE} (once)", done, size, "B")


def _name(name: str) -> str:
    """Return transformers' name of a tensor."""
    if name in OUTER_NAMES:
        return OUTER_NAMES[name]
    _, layer, part, suffix = name.split(".")
    return f"model.layers.{layer}.{NAMES[part]}.{suffix}"


def _bfloat16(data: mmap.mmap, tensor: Tensor) -> Array:
    """Return a tensor's weights, rounded to bfloat16, as uint16 in its shape."""
    count = int(np.prod(tensor.shape))
    if tensor.kind == F32:
        return _rounded(np.frombuffer(data, "<f4", count, tensor.start)).reshape(tensor.shape)
    blocks = np.frombuffer(data, QUANTIZED[tensor.kind], count // BLOCK, tensor.start)
    weights = np.empty((len(blocks), BLOCK), np.uint16)
    for start in range(0, len(blocks), CHUNK):
        weights[start : start + CHUNK] = _rounded(_dequantized(blocks[start : start + CHUNK]))
    return weights.reshape(tensor.shape)


def _dequantized(blocks: Array) -> Array:
    """Return the weights of ``blocks`` as float32, ``[blocks, 32]``."""
    scale = blocks["scale"].astype(np.float32)[:, None]
    if blocks.dtype == Q8_0:
        eight_bit: Array = np.multiply(blocks["values"], scale, dtype=np.float32)
        return eight_bit
    values = np.empty((len(blocks), BLOCK), np.float32)
    np.bitwise_and(blocks["nibbles"], 15, out=values[:, : BLOCK // 2], casting="unsafe")
    np.right_shift(blocks["nibbles"], 4, out=values[:, BLOCK // 2 :], casting="unsafe")
    values *= scale
    values += blocks["minimum"].astype(np.float32)[:, None]
    return values


def _rounded(values: Array) -> Array:
    """Round float32 to the nearest bfloat16, ties to even; return its bits as uint16."""
    bits = values.view(np.uint32)
    odd = (bits >> 16) & 1
    odd += bits
    odd += 0x7FFF
    odd >>= 16
    return odd.astype(np.uint16)


def _halves_first(weights: Array, heads: int) -> Array:
    """Reorder a projection's rows from llama.cpp's rotary layout (pairs) to transformers' (halves)."""
    rows, columns = weights.shape
    pairs = weights.reshape(heads, rows // heads // 2, 2, columns)
    reordered: Array = pairs.swapaxes(1, 2).reshape(rows, columns)
    return reordered


def _ids(fields: Mapping[str, Any]) -> dict[str, Any]:
    names = {"bos": "bos", "eos": "eos", "pad": "padding"}
    return {f"{name}_token_id": fields[f"{own}_token_id"] for name, own in names.items()}


def _config(metadata: Mapping[str, Any]) -> dict[str, Any]:
    own = {name.removeprefix("llama."): value for name, value in metadata.items()}
    fields = {name.removeprefix("tokenizer.ggml."): value for name, value in metadata.items()}
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "hidden_size": own["embedding_length"],
        "intermediate_size": own["feed_forward_length"],
        "num_hidden_layers": own["block_count"],
        "num_attention_heads": own["attention.head_count"],
        "num_key_value_heads": own["attention.head_count_kv"],
        "head_dim": own["rope.dimension_count"],
        "hidden_act": "silu",
        "max_position_embeddings": own["context_length"],
        "rms_norm_eps": own["attention.layer_norm_rms_epsilon"],
        "rope_parameters": {"rope_theta": own["rope.freq_base"], "rope_type": "default"},
        "tie_word_embeddings": True,
        "vocab_size": own["vocab_size"],
        "unk_token_id": fields["unknown_token_id"],
        **_ids(fields),
    }


def _tokenizer(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tokenizer in the format of the tokenizers library: byte-level BPE."""
    byte_level = {"type": "ByteLevel", "trim_offsets": True, "use_regex": True}
    sequence = [{"Sequence": {"id": name, "type_id": number}} for number, name in enumerate("AB")]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": list(_special(fields)),
        "normalizer": None,
        "pre_tokenizer": {**byte_level, "add_prefix_space": fields["add_space_prefix"]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": sequence[:1],
            "pair": sequence,
            "special_tokens": {},
        },
        "decoder": {**byte_level, "add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: number for number, token in enumerate(fields["tokens"])},
            "merges": [merge.split(" ") for merge in fields["merges"]],
        },
    }


def _special(fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for number, (token, kind) in enumerate(zip(fields["tokens"], fields["token_type"], strict=True)):
        if kind == CONTROL:
            flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
            yield {"id": number, "content": token, **flags, "special": True}


def _tokenizer_config(fields: Mapping[str, Any]) -> dict[str, Any]:
    tokens = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}
    return {
        **{f"{name}_token": fields["tokens"][fields[f"{own}_token_id"]] for name, own in tokens.items()},
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
