"""The export formats: one record each, with the results that it takes and what each export needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Literal

from arkor_dev.contract.extras import install_command
from arkor_dev.local.gguf.installed import install, lacking
from arkor_dev.local.inference.adapter_scale import FULL_STRENGTH
from arkor_dev.local.jobs.job_folder import kind_of
from arkor_dev.local.modeling.adapter_abilities import vllm_options, why_full_strength_only
from arkor_dev.local.modeling.classes import Classes, is_classifier
from arkor_dev.local.modeling.embedder import is_embedder
from arkor_dev.local.modeling.reranker import is_reranker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from arkor_dev.contract.shapes import ExportFormat, JobConfig

    from .export import ExportTask

    Lines = tuple[tuple[str, str], ...]

ONNX: Final = "onnx"
"""Format for models with a head, or that embed: offered for their jobs alone."""
Result = Literal["writer", "classifier", "embedder", "reranker"]
"""What a job has made: a model that writes, or one that reads texts."""
ON_4_BIT: Final = (
    "This adapter was trained on 4-bit weights, which no model for llama.cpp has: on another one it "
    "would be another model. Export it as gguf, which has both in one"
)
NO_OTHERS: Final[Mapping[Result, str]] = {
    "writer": (
        "onnx is for classifiers, embedders and rerankers: export a model that writes as merged or gguf"
    ),
    "classifier": (
        "A classifier has no other exports than adapter and onnx: its head is no part of a model that "
        "writes. transformers loads base, adapter and head with AutoModelForSequenceClassification"
    ),
    "embedder": (
        "An embedder has no other exports than merged, which sentence-transformers loads, onnx and gguf: "
        "programs for chat would make it write"
    ),
    "reranker": (
        "A reranker has no other exports than merged, which sentence-transformers' CrossEncoder loads, and "
        "onnx: its head is no part of a model that writes"
    ),
}
HEADED: Final = ("classifier", "reranker")
IN_TRANSFORMERS: Final = (
    "PeftModel.from_pretrained(AutoModelForSequenceClassification.from_pretrained(BASE, num_labels=LABELS), "
    '"FOLDER")'
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """What an export needs on this machine: why it cannot be made, None if it can, and the command to install
    what is missing.
    """

    missing: Callable[[], str | None]
    install: Callable[[], str]


def _extra(name: str, modules: tuple[str, ...], purpose: str) -> Requirement:
    """Return that ``modules`` of the extra ``name`` are installed."""

    def missing() -> str | None:
        if all(map(find_spec, modules)):
            return None
        return f"This export is {purpose}. Install {'it' if len(modules) == 1 else 'them'} with: {command()}"

    def command() -> str:
        return install_command(name)

    return Requirement(missing, command)


LLAMA_CPP: Final = Requirement(lambda: lacking(), lambda: install())
ONNX_RUNTIME: Final = _extra(
    "onnx",
    ("onnxscript", "onnxruntime"),
    "written by onnxscript and proved with ONNX Runtime, which are not installed",
)
SENTENCE_TRANSFORMERS: Final = _extra(
    "embed", ("sentence_transformers",), "proved with sentence-transformers, which is not installed"
)


def _copy_or_merge() -> type[ExportTask]:
    from .export import ExportTask

    return ExportTask


def _classifier() -> type[ExportTask]:
    from .classifier import ClassifierExport

    return ClassifierExport


def _embedder() -> type[ExportTask]:
    from .embedder import EmbedderExport

    return EmbedderExport


def _reranker() -> type[ExportTask]:
    from .reranker import RerankerExport

    return RerankerExport


def _onnx() -> type[ExportTask]:
    from .onnx_graph import OnnxExport

    return OnnxExport


def _llama() -> type[ExportTask]:
    from .llama.export import LlamaExport

    return LlamaExport


def _llama_embedder() -> type[ExportTask]:
    from .llama.embedder import LlamaEmbedderExport

    return LlamaEmbedderExport


@dataclass(frozen=True, slots=True)
class Usage:
    """How programs read an export: for each its name, and a command or line of code.

    ``folder`` is for the export in FOLDER, ``hub`` for one that was pushed to REPOSITORY on the Hugging Face
    Hub. NAME is what the model is to be called on the user's machine, LABELS a classifier's number of labels.
    """

    folder: Lines
    hub: Lines

    def filled(self, placeholder: str, text: str) -> Usage:
        """Return the usage with ``text`` for ``placeholder``."""
        return Usage(_filled(self.folder, placeholder, text), _filled(self.hub, placeholder, text))


def _filled(lines: Lines, placeholder: str, text: str) -> Lines:
    return tuple((program, line.replace(placeholder, text)) for program, line in lines)


def _either(*lines: tuple[str, str]) -> Usage:
    """Return the usage by programs that take a repository's name where they take a folder's path."""
    return Usage(lines, _filled(lines, "FOLDER", "REPOSITORY"))


@dataclass(frozen=True, slots=True)
class FormatRecord:
    """One export format. ``full_model``: it has the whole model's weights; ``llama``: llama.cpp reads it;
    ``quantized``: its weights have a quantization type.

    ``usage`` has the results that can be exported, ``tasks`` loads the class that makes each of them, and
    ``needs`` says what each export needs. ``label`` and ``hint`` as in `ExportFormat`.
    """

    name: str
    label: str
    hint: str
    usage: Mapping[Result, Usage]
    tasks: Mapping[Result, Callable[[], type[ExportTask]]]
    needs: Mapping[Result, Requirement] = field(default_factory=dict)
    full_model: bool = True
    llama: bool = False
    quantized: bool = False


def _onnx_usage(texts: str) -> Usage:
    """Return the usage of a graph; ``texts`` are the tokenizer's arguments."""

    def inputs(source: str) -> tuple[str, str]:
        line = (
            f'inputs = AutoTokenizer.from_pretrained("{source}")({texts}, padding=True, truncation=True, '
            'return_tensors="np")'
        )
        return "In Python", line

    run = "InferenceSession({}).run(None, dict(inputs))"
    # The whole repository: the weights of a large graph are in a file beside it.
    fetched = 'snapshot_download("REPOSITORY") + "/model.onnx"'
    return Usage(
        (inputs("FOLDER"), ("ONNX Runtime", run.format('"FOLDER/model.onnx"'))),
        (inputs("REPOSITORY"), ("ONNX Runtime", run.format(fetched))),
    )


FORMATS: Final = {
    record.name: record
    for record in (
        FormatRecord(
            "adapter",
            "Adapter",
            "The LoRA weights alone, for PEFT and vLLM",
            {
                "writer": _either(("In Python", 'PeftModel.from_pretrained(base, "FOLDER")')),
                "classifier": _either(("In Python", IN_TRANSFORMERS)),
            },
            {"writer": _copy_or_merge, "classifier": _classifier},
            full_model=False,
        ),
        FormatRecord(
            "merged",
            "Merged model",
            "Adapter and base as one model, for transformers and vLLM",
            {
                "writer": _either(
                    ("In Python", 'AutoModelForCausalLM.from_pretrained("FOLDER")'),
                    ("vLLM", "vllm serve FOLDER"),
                ),
                "embedder": _either(("In Python", 'SentenceTransformer("FOLDER")')),
                "reranker": _either(("In Python", 'CrossEncoder("FOLDER")')),
            },
            {"writer": _copy_or_merge, "embedder": _embedder, "reranker": _reranker},
            {"embedder": SENTENCE_TRANSFORMERS, "reranker": SENTENCE_TRANSFORMERS},
        ),
        FormatRecord(
            ONNX,
            "ONNX model",
            "Adapter and base as one graph, for ONNX Runtime",
            {
                "classifier": _onnx_usage("TEXTS"),
                "embedder": _onnx_usage("TEXTS"),
                "reranker": _onnx_usage("QUERIES, DOCUMENTS"),
            },
            {"classifier": _onnx, "embedder": _onnx, "reranker": _onnx},
            {"classifier": ONNX_RUNTIME, "embedder": ONNX_RUNTIME, "reranker": ONNX_RUNTIME},
        ),
        FormatRecord(
            "gguf",
            "GGUF model",
            "One model, for llama.cpp and LM Studio",
            {
                "writer": Usage(
                    (
                        ("llama.cpp", "llama-cli -m FOLDER/model.gguf"),
                        ("LM Studio", "lms import FOLDER/model.gguf"),
                        ("In Python", 'llama_cpp.Llama(model_path="FOLDER/model.gguf")'),
                    ),
                    (
                        ("llama.cpp", "llama-cli -hf REPOSITORY -hff model.gguf"),
                        ("In Python", 'llama_cpp.Llama.from_pretrained("REPOSITORY", "model.gguf")'),
                    ),
                ),
                "embedder": Usage(
                    (
                        ("llama.cpp", "llama-server -m FOLDER/model.gguf --embeddings"),
                        (
                            "In Python",
                            (
                                'llama_cpp.Llama("FOLDER/model.gguf", embedding=True)'
                                ".embed(TEXT, normalize=True)"
                            ),
                        ),
                    ),
                    (
                        ("llama.cpp", "llama-server -hf REPOSITORY -hff model.gguf --embeddings"),
                        (
                            "In Python",
                            (
                                'llama_cpp.Llama.from_pretrained("REPOSITORY", "model.gguf", embedding=True)'
                                ".embed(TEXT, normalize=True)"
                            ),
                        ),
                    ),
                ),
            },
            {"writer": _llama, "embedder": _llama_embedder},
            {"writer": LLAMA_CPP, "embedder": LLAMA_CPP},
            llama=True,
            quantized=True,
        ),
        FormatRecord(
            "gguf-lora",
            "GGUF adapter",
            "The adapter alone, for llama.cpp",
            {
                "writer": Usage(
                    (
                        ("llama.cpp", "llama-cli -m BASE.gguf --lora FOLDER/adapter.gguf"),
                        ("In Python", 'llama_cpp.Llama("BASE.gguf", lora_path="FOLDER/adapter.gguf")'),
                    ),
                    (
                        ("Fetch it", "hf download REPOSITORY adapter.gguf --local-dir NAME"),
                        ("llama.cpp", "llama-cli -m BASE.gguf --lora NAME/adapter.gguf"),
                        ("In Python", 'llama_cpp.Llama("BASE.gguf", lora_path="NAME/adapter.gguf")'),
                    ),
                )
            },
            {"writer": _llama},
            {"writer": LLAMA_CPP},
            full_model=False,
            llama=True,
        ),
        FormatRecord(
            "ollama",
            "Model for Ollama",
            "One model and its Modelfile",
            {
                "writer": Usage(
                    (
                        ("Ollama", "ollama create NAME -f FOLDER/Modelfile"),
                        ("Then", "ollama run NAME"),
                    ),
                    # `ollama run hf.co/REPOSITORY` would not read the Modelfile.
                    (
                        ("Fetch it", "hf download REPOSITORY --local-dir NAME"),
                        ("Ollama", "ollama create NAME -f NAME/Modelfile"),
                        ("Then", "ollama run NAME"),
                    ),
                )
            },
            {"writer": _llama},
            {"writer": LLAMA_CPP},
            llama=True,
            quantized=True,
        ),
    )
}


def result_of(source: Path) -> Result:
    """Return what the adapter or model in ``source`` is."""
    if is_reranker(source):  # a classifier, too, with one label
        return "reranker"
    if is_classifier(source):
        return "classifier"
    return "embedder" if is_embedder(source) else "writer"


def usage(form: str, source: Path) -> Usage:
    """Return how programs read the export of ``source``. Raises :class:`JobFailure` for damaged labels."""
    result = result_of(source)
    found = FORMATS[form].usage[result]
    if result == "classifier":
        return found.filled("LABELS", str(len(Classes.read(source).names)))
    if form == "adapter" and (options := vllm_options(source)):
        served = _either(("vLLM", f"vllm serve BASE {options} --lora-modules NAME=FOLDER"))
        return Usage(found.folder + served.folder, found.hub + served.hub)
    return found


def offered(source: Path, config: JobConfig) -> list[ExportFormat]:
    """Return the formats to offer for a job's result, each with why it can't be exported to it."""
    result = result_of(source)
    entries: list[ExportFormat] = []
    for form, record in FORMATS.items():
        if form == ONNX and result not in record.usage:
            continue
        entry: ExportFormat = {"format": form, "label": record.label, "hint": record.hint}
        if reason := refusal(source, config, form):
            entry["problem"] = reason
            needed = record.needs.get(result)
            if needed and reason == needed.missing():
                entry["install"] = needed.install()
        entries.append(entry)
    return entries


def refusal(source: Path, config: JobConfig, form: str, strength: float = FULL_STRENGTH) -> str | None:
    """Return why ``source``'s model can't be exported, by its settings and the job's ``config``."""
    record, result = FORMATS[form], result_of(source)
    if result not in record.usage:
        return NO_OTHERS[result]
    if strength != FULL_STRENGTH and result in HEADED:
        return f"A {result}'s head learned with the whole adapter: export it at strength 1"
    if (needed := record.needs.get(result)) and (reason := needed.missing()):
        return reason
    if kind_of(source) != "adapter" and (strength != FULL_STRENGTH or not record.full_model):
        return (
            "This job trained the whole model and has no adapter. Export it as "
            f"{'gguf' if record.llama else 'merged'}"
            f"{'' if strength == FULL_STRENGTH else ', at strength 1'}"
        )
    if config.get("loadIn4bit") and form == "gguf-lora":
        return ON_4_BIT
    if strength == FULL_STRENGTH and form != "gguf-lora":
        return None
    if reason := why_full_strength_only(source):
        limit = "cannot leave as a LoRA file" if strength == FULL_STRENGTH else "has no other strength than 1"
        return f"This adapter {limit}: {reason}"
    return None
