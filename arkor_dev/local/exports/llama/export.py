"""Exports for llama.cpp: merges, converts, quantizes, and verifies the result with llama.cpp.

A model quantized below 16 bits is verified twice: after conversion, within narrow bounds, so that a missing
or wrong adapter cannot pass as quantization error, and again in its final form.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from arkor_dev.local.cards.writer import describe_lora, describe_merged
from arkor_dev.local.exports.export import ExportTask
from arkor_dev.local.exports.proof import BOUNDS, divergence, sure_choices
from arkor_dev.local.exports.template_checks import CONVERSATIONS
from arkor_dev.local.gguf.files import (
    FULL,
    cached_base,
    check_support,
    convert,
    file_bytes,
    make_lora,
    quantize,
    require_space,
)
from arkor_dev.local.jobs.atomic_folder import write_atomically
from arkor_dev.local.modeling.chat_template import with_arguments
from arkor_dev.local.modeling.gpu_count import weights_of
from arkor_dev.local.modeling.tokenizer import load_context, load_tokenizer

from . import ollama
from .verification import LlamaOutputs, adds_start, conversations_of, evaluate, faults

if TYPE_CHECKING:
    from collections.abc import Sequence

    from peft import PeftModel
    from transformers import PreTrainedTokenizerBase

    from arkor_dev.contract.shapes import ExportProof
    from arkor_dev.data.rows import Row, RowMessage
    from arkor_dev.local.exports.proof import Outputs, Questions
    from arkor_dev.local.modeling.base_model import Base

MODEL, ADAPTER, MODELFILE = "model.gguf", "adapter.gguf", "Modelfile"


@dataclass
class LlamaExport(ExportTask):
    """The export of ``source`` as GGUF, with ``quantization``."""

    _scratch: Path = field(default_factory=Path, init=False)

    @property
    def _is_copy(self) -> bool:
        return False

    @property
    def written_as(self) -> str:
        """Return the key of the verification's bounds in ``BOUNDS``."""
        return FULL if self.form == "gguf-lora" else self.quantization

    def make(self, rows: Sequence[Row]) -> ExportProof:
        self.target.parent.mkdir(parents=True, exist_ok=True)
        for path in self.target.parent.glob(
            f"{self.target.name}.*.part"
        ):  # left by a worker that was killed to free resources for a job
            shutil.rmtree(path, ignore_errors=True)
        with tempfile.TemporaryDirectory(
            prefix=f"{self.target.name}.", suffix=".part", dir=self.target.parent
        ) as folder:
            self._scratch = Path(folder)
            model = self.base if self.kind == "adapter" else self.source
            check_support(model, self._scratch, self.cache, self.progress)
            return super().make(rows)

    def _check_room(self) -> None:
        if self.form != "gguf-lora":
            # Disk space for the merged 16-bit weights, their conversion, and the final file.
            count = weights_of(self.base if self.kind == "adapter" else self.source)[0]
            merged = 2 * count if self.kind == "adapter" else 0
            require_space(
                self._scratch,
                merged + sum(file_bytes(count, quantization) for quantization in {FULL, self.quantization}),
            )

    def _write(self, trained: PeftModel, base: Base) -> None:
        """Write the model to be converted, in transformers' format and 16 bits."""
        if self.form != "gguf-lora" and self.kind == "adapter":
            folder = self._scratch / "merged"
            folder.mkdir()
            self._merge(trained, base, torch.float16, folder)

    def _read_again(
        self, questions: Questions, trained: Outputs, prompts: Sequence[Sequence[RowMessage]]
    ) -> tuple[Outputs, list[str]]:
        tokenizer = with_arguments(load_tokenizer(self.base), self.arguments)
        conversations = conversations_of(tokenizer, prompts)

        def run(model: Path, lora: Path | None, subject: str, *, answers: bool = True) -> LlamaOutputs:
            return evaluate(
                model,
                lora,
                questions,
                conversations,
                self._scratch,
                self.progress,
                subject=subject,
                answers=answers,
            )

        if self.form == "gguf-lora":
            path = self._scratch / ADAPTER
            make_lora(self.source, self.base, path, self.strength, self.cache, self.progress)
            base = cached_base(self.base, self.name, FULL, self.cache, self.progress, as_came=False)
            self._put({ADAPTER: path})
            exported = run(base, self.target / ADAPTER, "the exported files")
            return exported.outputs, faults(tokenizer, exported, prompts)
        source = self._scratch / "merged" if self.kind == "adapter" else self.source
        last = convert(source, self.quantization, self.name, self._scratch, self.cache, self.progress)
        shutil.rmtree(self._scratch / "merged", ignore_errors=True)
        wrong: list[str] = []
        if self.quantization != FULL:
            unquantized = run(last, None, "the converted model", answers=False)
            wrong += self._faults_before_quantization(trained, unquantized.outputs)
            last = quantize(last, self.quantization, self._scratch, self.progress)
        files = {MODEL: last}
        if self.form == "ollama":
            start = self._start(tokenizer, conversations)
            parts = ollama.parts_of(tokenizer, questions.ends)
            files[MODELFILE] = self._scratch / MODELFILE
            text = ollama.modelfile(parts, adds_start=start, context=load_context(self.base))
            files[MODELFILE].write_text(text, encoding="utf-8")
        self._put(files)
        exported = run(self.target / MODEL, None, "the exported files")
        wrong += faults(tokenizer, exported, prompts)
        if self.form == "ollama":
            text = (self.target / MODELFILE).read_text(encoding="utf-8")
            start = tokenizer.bos_token if exported.vocabulary["addsStart"] else ""
            wrong += ollama.faults(
                text, tokenizer, questions.ends, [*CONVERSATIONS, *prompts], adds_start=start or ""
            )
        return exported.outputs, wrong

    def _faults_before_quantization(self, trained: Outputs, converted: Outputs) -> list[str]:
        """Describe errors of the converted model before it is quantized."""
        bounds, distance, sure = (
            BOUNDS[FULL],
            divergence(trained, converted),
            sure_choices(trained, converted),
        )
        if distance <= bounds.divergence and sure >= bounds.sure:
            return []
        excess = f"{distance:.3g} nats per token away from the trained model ({bounds.divergence:g} allowed)"
        return [f"Before quantization it already was {excess}."]

    def _start(self, tokenizer: PreTrainedTokenizerBase, conversations: Sequence[str]) -> str:
        """Return the start token that programs add by themselves when they read the file."""
        sets = bool(conversations) and adds_start(tokenizer, conversations[0])
        return str(tokenizer.bos_token) if sets else ""

    def _put(self, files: dict[str, Path]) -> None:
        """Move the files to their destination, with their card."""

        def write(folder: Path) -> None:
            for name, path in files.items():
                path.replace(folder / name)
            if self.form == "gguf-lora":
                describe_lora(self.source, folder, self.strength, self.usage)
            elif self.kind == "adapter":
                describe_merged(self.source, folder, self.strength, self.usage)

        write_atomically(self.target, write)
        self.written(self._files())
