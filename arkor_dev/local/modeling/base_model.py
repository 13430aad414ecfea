"""Loads base models: chooses their device and number format, and the layers that an adapter adapts.

Imported by worker processes only: it imports torch and transformers.
"""

from __future__ import annotations

import importlib.util
import os
import re
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypedDict, Unpack

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, BitsAndBytesConfig, GenerationConfig
from transformers.pytorch_utils import Conv1D
from transformers.quantizers.base import get_keys_to_not_convert

from arkor_dev.contract.extras import install_command
from arkor_dev.contract.gpus import VARIABLES, idle_gpu, nvidia_gpus, torch_build
from arkor_dev.contract.units import format_bytes
from arkor_dev.local.workers.errors import JobFailure, OutOfMemory, out_of_memory

from .auto_class import auto_class, is_encoder
from .gate import DEQUANTIZED, ENCODER_HEADS, SENSES, comes_in_4_bit, dequantized_from, encoder_in
from .layer_stream import SUPPORTED, LayerStream, MappedWeights
from .spread import gpu_map, spread
from .tokenizer import UNREADABLE, context_of, load_tokenizer, unreadable
from .transfers import CudaTransfers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch.nn import Module
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


FIXED: Final = dict.fromkeys(("falcon_h1", "nemotron_h"), ("out_proj", "conv1d"))
"""Layers, by architecture, that PEFT refuses to adapt: Mamba's kernels read their weights directly."""


class LoadOptions(TypedDict, total=False):
    """Options of transformers' ``from_pretrained``."""

    config: PreTrainedConfig
    device_map: dict[str, str] | dict[str, int]
    dtype: torch.dtype | str
    quantization_config: BitsAndBytesConfig
    state_dict: dict[str, torch.Tensor]
    generation_config: GenerationConfig | None
    add_pooling_layer: bool


@dataclass(slots=True)
class Base:
    """A base model ready for use, with its tokenizer.

    ``dtype`` is the dtype it computes in, unless another one is faster on this processor; ``context`` is the
    longest input in tokens. ``four_bit`` says that its weights are quantized. Its layers are spread over so
    many ``gpus``. ``stream`` can stream the layers of a model that was loaded as ``mapped``.
    """

    model: Module
    tokenizer: PreTrainedTokenizerBase
    device: str
    dtype: torch.dtype
    context: int
    four_bit: bool = False
    gpus: int = 1
    stream: LayerStream | None = None

    @property
    def gpu(self) -> str | None:
        """Return the UUID of the NVIDIA GPU in use, in the driver's form; None if there is none."""
        if self.device != "cuda":
            return None
        uuid = getattr(torch.cuda.get_device_properties(torch.cuda.current_device()), "uuid", None)
        return f"GPU-{uuid}" if uuid else None

    def gpu_peaks(self) -> list[int]:
        """Return the most bytes that this process has allocated on each NVIDIA or AMD GPU in use."""
        used = range(self.gpus if self.device == "cuda" else 0)
        return [torch.cuda.max_memory_allocated(gpu) for gpu in used]


def why_processor() -> str | None:
    """Return why a machine with a GPU computes on its CPU, and what to do; None if that is expected."""
    if pick_device()[0] != "cpu" or any(os.environ.get(name) in ("", "-1") for name in VARIABLES):
        return None
    if gpu_and_build := idle_gpu(kind := torch_build() or "cpu"):
        name, needed = gpu_and_build
        return (
            f"This machine has a GPU ({name}), but the installed PyTorch {torch.__version__} cannot use it, "
            f"so training runs on the processor. Install {needed}: https://pytorch.org/get-started/locally"
        )
    if kind == "cuda" and (gpus := nvidia_gpus()):
        return (
            f"This machine has a GPU ({gpus[0].name}), but CUDA does not start, so training runs on the "
            f"processor. PyTorch is built for CUDA {torch.version.cuda}: update NVIDIA's driver"
        )
    return None


def pick_device() -> tuple[str, torch.dtype]:
    """Return the device and number format. bfloat16 only on a GPU: most CPUs are 50 times slower with it.

    NVIDIA GPUs before Ampere (T4, V100, RTX 20) only emulate bfloat16; they get float16. A Mac before macOS
    14 has no bfloat16 on its GPU, and gets float32.
    """
    if torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "cuda", torch.bfloat16 if native else torch.float16
    if torch.backends.mps.is_available():
        return "mps", torch.bfloat16 if _computes("mps", torch.bfloat16) else torch.float32
    return "cpu", torch.float32


def _computes(device: str, dtype: torch.dtype) -> bool:
    """Return whether ``device`` supports products in ``dtype``."""
    try:
        matrix = torch.ones(1, 1, device=device, dtype=dtype)
        return bool((matrix @ matrix).item() == 1)
    except (RuntimeError, TypeError):
        return False


def _four_bit(path: Path, dtype: torch.dtype) -> LoadOptions:
    """Return the options for loading the model in ``path`` in 4 bits and computing in ``dtype``.

    Its weights are quantized to NF4 with quantized scales, as in QLoRA (Dettmers et al. 2023), unless they
    are stored quantized.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise JobFailure(
            f"4-bit quantization needs one more package. Install it with: {install_command('gpu4bit')}"
        )
    config = AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True)
    if comes_in_4_bit(path):
        name = str(dtype).removeprefix("torch.")
        config.quantization_config = {**config.quantization_config, "bnb_4bit_compute_dtype": name}
        return {"config": config}
    return {
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
            llm_int8_skip_modules=_unquantized(config),
        )
    }


def _unquantized(config: PreTrainedConfig) -> list[str] | None:
    """Return modules that must not be quantized, such as towers, exported bit for bit. None: the default."""
    if not any(hasattr(config, key) for key in SENSES):
        return None
    with torch.device("meta"):
        shell = auto_class(config).from_config(config, trust_remote_code=False)
    towers = {module for _, _, module in _beside_text(shell)}
    names = [name for name, module in shell.named_modules() if module in towers]
    return [*get_keys_to_not_convert(shell), *names]


def _beside_text(model: Module) -> list[tuple[Module, str, Module]]:
    """Return the modules that hold neither the language model nor its embeddings, such as a vision tower.

    Each is yielded after its parent and its name in it.
    """
    language = [module for name, module in model.named_modules() if _end(name) == "language_model"]
    roots = [*language, model.get_input_embeddings(), model.get_output_embeddings()]
    needed = {module for root in roots if root is not None for module in root.modules()}

    def walk(module: Module) -> Iterator[tuple[Module, str, Module]]:
        for name, child in module.named_children():
            if needed.isdisjoint(child.modules()):
                yield module, name, child
            elif child not in needed:
                yield from walk(child)

    return list(walk(model)) if language else []


def _set_aside(model: Module) -> None:
    """Move modules that text does not use, such as a vision tower, to CPU memory."""
    if not (parts := _beside_text(model)):
        return
    ran: set[Module] = set()
    hooks = [part.register_forward_pre_hook(lambda module, _: ran.add(module)) for _, _, part in parts]
    with torch.no_grad():
        model(input_ids=torch.ones(1, 2, dtype=torch.long, device=model.device))
    for (parent, name, part), hook in zip(parts, hooks, strict=True):
        hook.remove()
        if part not in ran:
            part.to("cpu")
            # transformers takes the first weight's device for the model's, so these come last.
            parent._modules[name] = parent._modules.pop(name)  # noqa: SLF001


def _compute_in(model: Module, dtype: torch.dtype) -> None:
    """Dequantize 4-bit weights to ``dtype``, and convert 16-bit ones to it."""
    for weight in model.parameters():
        if hasattr(weight, "quant_state"):
            weight.quant_state.dtype = dtype
        elif weight.dtype in (torch.float16, torch.bfloat16):
            weight.data = weight.data.to(dtype)


def load_base(
    path: Path,
    four_bit: bool = False,
    dtype_name: str | None = None,
    learning: bool = False,
    as_stored: bool = False,
    device: str | None = None,
    gpus: int = 1,
    mapped: bool = False,
    headed: bool = False,
) -> Base:
    """Load the model and tokenizer in ``path``. Raises JobFailure if unreadable or too large for memory.

    On a GPU the weights get torch's dtype ``dtype_name``; on a CPU, or if ``learning`` (they are trained
    themselves), float32. ``as_stored`` keeps frozen weights in the file's dtype on a CPU: half the memory for
    bfloat16. ``device`` is "cpu" for a model that must not be on the GPU. The layers are spread
    over ``gpus``, if there are as many. ``mapped`` maps the files of a model read-only, so that its layers
    can be streamed; nothing may write to its weights. For one GPU they are not moved there yet, nor
    quantized: `prepare_frozen` does so. ``headed`` as in `auto_class`.
    """
    detected, dtype = pick_device()
    if device == "cpu" and detected != "cpu":
        detected, dtype = device, torch.float32
    if dtype_name and detected != "cpu":
        dtype = getattr(torch, dtype_name)
    extra: LoadOptions = {}
    if detected != "cpu":
        extra["device_map"] = {"": detected}  # load directly to the device, not through CPU memory
    stored_so = comes_in_4_bit(path)
    four_bit = four_bit or stored_so
    if four_bit and (stored_in := dequantized_from(path)):
        raise JobFailure(
            f"load_in_4bit quantizes full weights, and this model has weights in {stored_in.upper()}, which "
            "are loaded in 16 bit: remove load_in_4bit from the trainer"
        )
    if four_bit:
        if detected != "cuda":
            subject, instead = "load_in_4bit needs", "remove load_in_4bit from the trainer"
            if stored_so:
                subject, instead = "A model in 4 bit needs", "choose the repository with the full weights"
            raise JobFailure(f"{subject} an NVIDIA GPU, and this machine computes on {detected}: {instead}")
        extra |= _four_bit(path, dtype)
    elif dequantized_from(path):
        config = AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True)
        config.quantization_config = {**config.quantization_config, "dequantize": True}
        extra["config"] = config
    totals = [torch.cuda.mem_get_info(gpu)[1] for gpu in range(_gpus(detected, gpus))]
    gpu_of: dict[str, int] = {}
    if len(totals) > 1:
        gpu_of = _spread_map(path, torch.float32 if learning else dtype, totals, headed=headed)
        extra["device_map"] = gpu_of
    extra["dtype"] = torch.float32 if learning else "auto" if as_stored and detected == "cpu" else dtype
    tokenizer = load_tokenizer(path)
    mapped = mapped and SUPPORTED and detected in ("cpu", "cuda") and len(totals) < 2
    mapped = mapped and not (dequantized_from(path) or encoder_in(path) or stored_so)
    weights = _mapped(path) if mapped else None
    if weights:
        extra = {"state_dict": weights.tensors, "generation_config": _generation_config(path)}
        extra["dtype"] = "auto" if as_stored or detected == "cuda" else dtype
    gpus = max(1, len(totals))
    model = _read(path, detected, four_bit=four_bit, gpus=gpus, headed=headed, **extra)
    if stored_so:
        _compute_in(model, dtype)
    elif not four_bit and any(weight.element_size() == 1 for weight in model.parameters()):
        raise JobFailure(
            f"transformers {transformers.__version__} cannot dequantize this model's weights. Update it: "
            "pip install -U transformers"
        )
    if gpu_of:
        spread(model, gpu_of)
    if detected == "cuda" and not weights:
        _set_aside(model)
    if (head := model.get_output_embeddings()) is not None:
        head.register_forward_pre_hook(_make_contiguous)
    stream = None
    if weights:
        transfers = CudaTransfers() if detected == "cuda" else None
        stream = LayerStream(model, weights, transfers, four_bit=four_bit)
    return Base(model, tokenizer, detected, dtype, context_of(model.config), four_bit, gpus, stream)


def _mapped(path: Path) -> MappedWeights | None:
    """Map the weights in ``path``; None if torch cannot view them. Raises JobFailure for damaged files."""
    try:
        return MappedWeights(path)
    except KeyError:
        return None
    except (*UNREADABLE, SafetensorError, TypeError, AttributeError) as error:
        raise unreadable(path, error) from error


def _generation_config(path: Path) -> GenerationConfig | None:
    """Return the model's settings for generation; None without a file, for those of its configuration."""
    try:
        return GenerationConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True)
    except OSError:
        return None


def _gpus(device: str, wanted: int) -> int:
    return min(wanted, torch.cuda.device_count()) if device == "cuda" else 0


def _spread_map(path: Path, dtype: torch.dtype, totals: Sequence[int], *, headed: bool) -> dict[str, int]:
    """Return the GPU of each part of the model in ``path``; raises JobFailure."""
    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True)
        with torch.device("meta"):
            shell = auto_class(config, headed=headed).from_config(config, trust_remote_code=False)
        return gpu_map(shell, dtype, totals)
    except UNREADABLE as error:
        raise JobFailure(f"This model cannot be spread over {len(totals)} GPUs: {error}") from error


def load_dequantized(path: Path, dtype_name: str | None = None) -> Base:
    """Load the model of a ``loadIn4bit`` job into CPU memory with unquantized weights.

    The quantized weights are dequantized to ``dtype_name`` (bfloat16 by default), the dtype in which a GPU
    computes with them, and stored in float32.
    """
    dtype = getattr(torch, dtype_name or "bfloat16")
    tokenizer = load_tokenizer(path)
    model = _read(path, "cpu", **{**_four_bit(path, dtype), "dtype": dtype, "device_map": {"": "cpu"}})
    _compute_in(model, dtype)
    model = model.dequantize(dtype=dtype).float()
    model.config.dtype = dtype
    return Base(model, tokenizer, "cpu", torch.float32, context_of(model.config))


def _read(
    path: Path,
    device: str,
    *,
    four_bit: bool = False,
    gpus: int = 1,
    headed: bool = False,
    **options: Unpack[LoadOptions],
) -> PreTrainedModel:
    """Return the model in ``path``; raises JobFailure."""
    try:
        config = options.get("config") or AutoConfig.from_pretrained(
            path, trust_remote_code=False, local_files_only=True
        )
        if is_encoder(config) and config.model_type == "bert" and not headed:
            options["add_pooling_layer"] = False  # only a head reads it
        if "state_dict" in options:
            with torch.device("meta"):
                shell = auto_class(config).from_config(config, trust_remote_code=False)
            return type(shell).from_pretrained(None, trust_remote_code=False, **{**options, "config": config})
        with _drawing_alike() if headed else nullcontext():
            return auto_class(config, headed=headed).from_pretrained(
                path, trust_remote_code=False, use_safetensors=True, **options
            )
    except (*UNREADABLE, MemoryError) as error:
        if out_of_memory(error):
            raise _does_not_fit(path, device, four_bit=four_bit, gpus=gpus) from error
        raise unreadable(path, error) from error


@contextmanager
def _drawing_alike() -> Iterator[None]:
    """Draw weights that a model's files lack, such as those of its head, alike at each loading."""
    gpu = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(gpu):
        torch.manual_seed(0)
        yield


def _does_not_fit(path: Path, device: str, *, four_bit: bool, gpus: int) -> OutOfMemory:
    """Return the error that the model in ``path`` does not fit into the device's memory, with advice."""
    files, stored_in = sum(file.stat().st_size for file in path.glob("*.safetensors")), dequantized_from(path)
    dequantized = f", {DEQUANTIZED[stored_in][1]}" if stored_in else ""
    text = f"The model ({format_bytes(files)} in its files{dequantized}) does not fit into "
    if device == "cuda":
        sizes = [torch.cuda.mem_get_info(gpu) for gpu in range(gpus)]
        free, total = sum(size[0] for size in sizes), sum(size[1] for size in sizes)
        whose = "GPU's" if gpus == 1 else "GPUs'"
        text += f"the {whose} memory, of which {format_bytes(free)} of {format_bytes(total)} are free"
    else:
        text += "this machine's memory"
    reliefs = ["choose a smaller model", "end other programs that use the GPU"]
    if device == "cuda":
        if not (four_bit or stored_in):
            reliefs.insert(0, "load it in 4 bit (load_in_4bit = true)")
        if (count := max(len(nvidia_gpus()), torch.cuda.device_count())) > gpus:
            reliefs.insert(0, f"spread it over several GPUs (gpus = {count})")
        reliefs.append("train on the processor (start with CUDA_VISIBLE_DEVICES=-1), which is slow")
    else:
        reliefs[1] = "close other programs"
    return OutOfMemory(f"{text}: {', '.join(reliefs[:-1])}, or {reliefs[-1]}")


def _make_contiguous(_: Module, inputs: tuple[object, ...]) -> tuple[object, ...]:
    """Make the last positions of several rows contiguous, or torch would copy the output layer per row."""
    return tuple(tensor.contiguous() if isinstance(tensor, torch.Tensor) else tensor for tensor in inputs)


def unwrapped(model: Module) -> Module:
    """Return the model without PEFT's wrappers."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def linear_targets(model: Module) -> str | list[str]:
    """Return the ``target_modules`` for PEFT: the language model's linear layers except the output layer.

    These are the last components of the layers' names if no other module has one of them. In models with
    vision or audio towers, the towers have the same names, with classes that PEFT rejects: then a pattern
    selects the language model. Otherwise PEFT's "all-linear" is used.
    """
    head = model.get_output_embeddings()
    linear = [name for name, module in model.named_modules() if _is_linear(module) and module is not head]
    kind = getattr(getattr(model, "config", None), "model_type", "")
    linear = [name for name in linear if kind not in FIXED or _end(name) not in FIXED[kind]]
    linear = [name for name in linear if set(ENCODER_HEADS.get(kind, ())).isdisjoint(name.split("."))]
    language_layers = [name for name in linear if "language_model" in name.split(".")] or linear
    ends = sorted({_end(name) for name in language_layers})
    other_ends = {
        _end(name) for name, _ in model.named_modules() if name and name not in set(language_layers)
    }
    if other_ends.isdisjoint(ends):
        return ends
    if len(language_layers) < len(linear):
        return rf"(.*\.)?language_model\.(.*\.)?({'|'.join(map(re.escape, ends))})"
    return "all-linear"


def _is_linear(module: Module) -> bool:
    return isinstance(module, torch.nn.Linear | Conv1D)


def _end(name: str) -> str:
    return name.rpartition(".")[2]
