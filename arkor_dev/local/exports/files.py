"""Writes the files of an export, and loads them as another program would."""

from __future__ import annotations

import gc
import shutil
from typing import TYPE_CHECKING, Final

import torch
from transformers import AutoConfig, AutoTokenizer

from arkor_dev.local.jobs.atomic_folder import MANIFEST
from arkor_dev.local.jobs.job_folder import STATE
from arkor_dev.local.modeling.adapted_model import with_adapter
from arkor_dev.local.modeling.auto_class import auto_class
from arkor_dev.local.modeling.base_model import Base, load_base, load_dequantized, pick_device, unwrapped
from arkor_dev.local.modeling.chat_template import end_ids
from arkor_dev.local.modeling.classes import CALIBRATION
from arkor_dev.local.modeling.classes import FILE as LABELS
from arkor_dev.local.modeling.gate import SENSES
from arkor_dev.local.modeling.gpu_count import weights_of
from arkor_dev.local.modeling.tokenizer import UNREADABLE, save_tokenizer
from arkor_dev.local.models.catalog import portable_name
from arkor_dev.local.training.adapter import CONFIG, WEIGHTS, convert_weights, prepare_frozen, save_whole
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.machine import memory

from .by_tensor import describe, write_merged

if TYPE_CHECKING:
    from pathlib import Path

    from peft import PeftModel
    from torch.nn import Module
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from arkor_dev.local.modeling.layer_stream import LayerStream


DESCRIPTIONS: Final = ("README.md", "provenance.json")
"""Files copied with the weights if present: the card and the provenance."""
PROCESSORS: Final = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")
"""Files that tell other programs how to prepare pictures, videos and sound for a model."""
RUN_FILES: Final = frozenset({MANIFEST, STATE})
"""Files of the training run that no other program needs."""


def copy_adapter(source: Path, folder: Path) -> None:
    """Copy the adapter in ``source`` with its card and provenance, without the training state."""
    for name in (WEIGHTS, CONFIG, LABELS, CALIBRATION, *DESCRIPTIONS):
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)


def copy_model(source: Path, folder: Path) -> None:
    """Copy all files of a fully fine-tuned model."""
    for path in sorted(source.iterdir()):
        if path.name not in RUN_FILES and path.is_file() and not path.is_symlink():
            shutil.copyfile(path, folder / path.name)


def copy_processor(base: Path, model: Module, folder: Path) -> None:
    """Copy how pictures and sound are prepared for ``model``, if it still takes any."""
    if any(hasattr(model.config, key) for key in SENSES):
        for name in PROCESSORS:
            if (base / name).is_file():
                shutil.copyfile(base / name, folder / name)


def weights_bytes(folder: Path) -> int:
    """Return the size of a folder's weights on disk."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def stored_dtype(path: Path) -> torch.dtype:
    """Return the dtype of the weights in ``path``; float32 if unknown."""
    config = AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True)
    dtype = getattr(config, "dtype", None)
    return dtype if isinstance(dtype, torch.dtype) and dtype.is_floating_point else torch.float32


def merge(model: PeftModel) -> PreTrainedModel:
    """Merge the adapter of ``model`` into its base. Raises :class:`JobFailure`.

    The sum is computed in the dtype of the weights, which should be float32, and rounded once.
    """
    try:
        merged = model.merge_and_unload(safe_merge=True)
    except (ValueError, NotImplementedError, AttributeError) as error:
        raise JobFailure(f"This adapter cannot be merged with its base: {error}") from None
    # An adapter may have changed one of two tied layers: saved as one tensor, the change would be lost.
    ins, outs = merged.get_input_embeddings(), merged.get_output_embeddings()
    if merged.config.tie_word_embeddings and outs is not None and not torch.equal(ins.weight, outs.weight):
        merged.config.tie_word_embeddings = False
    return merged


def save_merged(
    merged: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str, dtype: torch.dtype, folder: Path
) -> None:
    """Save the model, weights in ``dtype``, with its tokenizer, chat template and end tokens.

    ``name`` is the base model's; its portable form is written.
    """
    convert_weights(merged, dtype)
    merged.config.dtype = dtype
    merged.name_or_path = merged.config._name_or_path = portable_name(name)  # noqa: SLF001
    end_answers(merged, tokenizer)
    save_whole(merged, tokenizer, folder)


def save_merged_by_tensor(
    trained: PeftModel,
    stream: LayerStream,
    tokenizer: PreTrainedTokenizerBase,
    name: str,
    dtype: torch.dtype,
    folder: Path,
) -> None:
    """Merge and save like `merge` and `save_merged` a model whose layers are streamed."""
    model = unwrapped(trained)
    write_merged(trained, stream, dtype, folder)
    model.config.dtype = dtype
    model.name_or_path = model.config._name_or_path = portable_name(name)  # noqa: SLF001
    end_answers(model, tokenizer)
    describe(trained, folder)
    tokenizer.name_or_path = model.name_or_path
    save_tokenizer(tokenizer, folder)


def end_answers(model: Module, tokenizer: PreTrainedTokenizerBase) -> None:
    """List all tokens that end an answer in the model's configuration; other programs look only there.

    An encoder has no such list.
    """
    if not model.can_generate():
        return
    model.generation_config.eos_token_id = end_ids(tokenizer, model)
    model.generation_config.pad_token_id = tokenizer.pad_token_id


SPARE: Final = 1.2
"""Memory needed to generate with a model, as a multiple of its weights."""


def load_in_float32(path: Path, *, four_bit: bool = False, headed: bool = False) -> Base:
    """Load a model in float32, so that merged weights are rounded only once; on the GPU if they fit.

    The layers of a model that is larger than the free memory are streamed, if they can be.
    With ``four_bit`` its weights are the dequantized 4-bit ones. ``headed`` as in `load_base`.
    Raises :class:`JobFailure`.
    """
    if four_bit:
        return load_dequantized(path)
    device = _device(path)
    if device == "cpu" and _too_large(path):
        base = load_base(path, device=device, as_stored=True, mapped=True, headed=headed)
        if base.stream and not base.stream.unsuited:
            prepare_frozen(base, torch.float32, streams=True)
            return base
        del base
    return load_base(path, dtype_name="float32", device=device, headed=headed)


def _too_large(path: Path) -> bool:
    """Return whether the free memory is too small for the model in ``path`` in float32."""
    free = memory().free
    return free is not None and SPARE * 4 * weights_of(path)[0] > free


def free_memory() -> None:
    """Free the memory of models that nothing refers to."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _device(path: Path) -> str:
    """Return the device on which the model in ``path`` fits in float32."""
    device = pick_device()[0]
    if device != "cuda":
        return device
    return device if torch.cuda.mem_get_info()[0] > SPARE * 4 * weights_of(path)[0] else "cpu"


def reload(
    form: str, folder: Path, base: Path, *, four_bit: bool = False
) -> tuple[Module, PreTrainedTokenizerBase | None]:
    """Load an export as another program would: the model in float32, and its tokenizer if it has one."""
    if form == "adapter":
        return with_adapter(load_in_float32(base, four_bit=four_bit).model, folder), None
    if _device(folder) == "cpu" and _too_large(folder):
        exported = load_in_float32(folder)
        return exported.model.eval(), exported.tokenizer
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        model = auto_class(config).from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except UNREADABLE as error:
        raise JobFailure(f"What was written cannot be read again: {error}") from None
    return model.to(torch.device(_device(folder))).eval(), tokenizer
