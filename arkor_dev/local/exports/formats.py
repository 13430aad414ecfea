"""The export formats: one record each, with the programs that read it and the results that it excludes."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.bodies import ONNX
from arkor_dev.contract.extras import install_command
from arkor_dev.local.gguf.installed import install, lacking
from arkor_dev.local.inference.adapter_scale import FULL_STRENGTH
from arkor_dev.local.jobs.job_folder import kind_of
from arkor_dev.local.modeling.adapter_abilities import vllm_options, why_full_strength_only
from arkor_dev.local.modeling.classes import Classes, is_classifier
from arkor_dev.local.modeling.embedder import is_embedder
from arkor_dev.local.modeling.reranker import is_reranker

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import ExportFormat, JobConfig

ON_4_BIT: Final = (
    "This adapter was trained on 4-bit weights, which no model for llama.cpp has: on another one it "
    "would be another model. Export it as gguf, which has both in one"
)
CLASSIFIER: Final = (
    "A classifier has no other exports than adapter and onnx: its head is no part of a model that writes. "
    "transformers loads base, adapter and head with AutoModelForSequenceClassification"
)
EMBEDDER: Final = (
    "An embedder has no other exports than merged, which sentence-transformers loads, onnx and gguf: "
    "programs for chat would make it write"
)
RERANKER: Final = (
    "A reranker has no other exports than merged, which sentence-transformers' CrossEncoder loads, and onnx: "
    "its head is no part of a model that writes"
)
WRITES: Final = (
    "onnx is for classifiers, embedders and rerankers: export a model that writes as merged or gguf"
)
SENTENCE_TRANSFORMERS: Final = "sentence_transformers"
MODULES: Final = "modules.json"
"""The file by which sentence-transformers knows its models."""
TOKENIZED: Final = (
    'inputs = AutoTokenizer.from_pretrained("FOLDER")(TEXTS, padding=True, truncation=True, '
    'return_tensors="np")'
)
IN_TRANSFORMERS: Final = (
    "PeftModel.from_pretrained(AutoModelForSequenceClassification.from_pretrained(BASE, num_labels={}), "
    '"FOLDER")'
)


@dataclass(frozen=True, slots=True)
class FormatRecord:
    """One export format. ``full_model``: it has the whole model's weights; ``llama``: llama.cpp reads it.

    ``usage`` has a command or line of code per program, with the placeholders FOLDER and NAME.
    """

    name: str
    usage: tuple[tuple[str, str], ...]
    full_model: bool = True
    llama: bool = False


FORMATS: Final = {
    record.name: record
    for record in (
        FormatRecord(
            "adapter", (("In Python", 'PeftModel.from_pretrained(base, "FOLDER")'),), full_model=False
        ),
        FormatRecord(
            "merged",
            (
                ("In Python", 'AutoModelForCausalLM.from_pretrained("FOLDER")'),
                ("vLLM", "vllm serve FOLDER"),
            ),
        ),
        FormatRecord(
            ONNX,
            (
                ("In Python", TOKENIZED),
                ("ONNX Runtime", 'InferenceSession("FOLDER/model.onnx").run(None, dict(inputs))'),
            ),
        ),
        FormatRecord(
            "gguf",
            (
                ("llama.cpp", "llama-cli -m FOLDER/model.gguf"),
                ("LM Studio", "lms import FOLDER/model.gguf"),
                ("In Python", 'llama_cpp.Llama(model_path="FOLDER/model.gguf")'),
            ),
            llama=True,
        ),
        FormatRecord(
            "gguf-lora",
            (
                ("llama.cpp", "llama-cli -m BASE.gguf --lora FOLDER/adapter.gguf"),
                ("In Python", 'llama_cpp.Llama(BASE, lora_path="FOLDER/adapter.gguf")'),
            ),
            full_model=False,
            llama=True,
        ),
        FormatRecord(
            "ollama",
            (("Ollama", "ollama create NAME -f FOLDER/Modelfile"), ("Then", "ollama run NAME")),
            llama=True,
        ),
    )
}


def usage(form: str, folder: Path) -> list[list[str]]:
    """Return ``[program, text]`` for each program that reads the export in ``folder``."""
    if form != ONNX and is_reranker(folder):
        return [["In Python", 'CrossEncoder("FOLDER")']]
    if form != ONNX and is_classifier(folder):
        return [["In Python", IN_TRANSFORMERS.format(len(Classes.read(folder).names))]]
    if form == "gguf" and is_embedder(folder):
        return [
            ["llama.cpp", "llama-server -m FOLDER/model.gguf --embeddings"],
            ["In Python", 'llama_cpp.Llama("FOLDER/model.gguf", embedding=True).embed(TEXT, normalize=True)'],
        ]
    if (folder / MODULES).is_file():
        return [["In Python", 'SentenceTransformer("FOLDER")']]
    lines = [list(line) for line in FORMATS[form].usage]
    if form == "adapter" and (options := vllm_options(folder)):
        lines.append(["vLLM", f"vllm serve BASE {options} --lora-modules NAME=FOLDER"])
    return lines


def described(form: str, source: Path, config: JobConfig) -> ExportFormat:
    """Return the format, with why the job's result can't be exported to it."""
    entry: ExportFormat = {"format": form}
    if reason := refusal(source, config, form):
        entry["problem"] = reason
        if FORMATS[form].llama and reason == lacking():
            entry["install"] = install()
        if reason == _no_onnx():
            entry["install"] = install_command("onnx")
        if reason == _no_sentence_transformers():
            entry["install"] = install_command("embed")
    return entry


def refusal(source: Path, config: JobConfig, form: str, strength: float = FULL_STRENGTH) -> str | None:
    """Return why ``source``'s model can't be exported, by its settings and the job's ``config``."""
    record = FORMATS[form]
    if form == ONNX and not reads_texts(source):
        return WRITES
    if is_reranker(source):
        if strength != FULL_STRENGTH:
            return "A reranker's head learned with the whole adapter: export it at strength 1"
        if form == ONNX:
            return _no_onnx()
        return _no_sentence_transformers() if form == "merged" else RERANKER
    if form != "adapter" and is_classifier(source):
        if form == ONNX and strength != FULL_STRENGTH:
            return "A classifier's head learned with the whole adapter: export it at strength 1"
        return _no_onnx() if form == ONNX else CLASSIFIER
    if is_embedder(source):
        if form == ONNX:
            return _no_onnx()
        if form == "gguf":
            return lacking()
        return _no_sentence_transformers() if form == "merged" else EMBEDDER
    if record.llama and (reason := lacking()):
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


def reads_texts(source: Path) -> bool:
    """Return whether the result in ``source`` is a classifier, an embedder or a reranker."""
    return is_classifier(source) or is_embedder(source)


def _no_onnx() -> str | None:
    """Return why ONNX files can't be exported here; None if they can."""
    if all(map(find_spec, ("onnxscript", "onnxruntime"))):
        return None
    return (
        "This export is written by onnxscript and proved with ONNX Runtime, which are not installed. Install "
        f"them with: {install_command('onnx')}"
    )


def _no_sentence_transformers() -> str | None:
    """Return why embedders can't be exported here; None if they can."""
    if find_spec(SENTENCE_TRANSFORMERS):
        return None
    return (
        "This export is proved with sentence-transformers, which is not installed. Install it with: "
        f"{install_command('embed')}"
    )
