"""Writes an export, loads it as another program would, and compares it with the trained model.

A plain copy (an adapter, or a fully fine-tuned model) is written first, for use while verification runs.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from arkor_dev.contract.errors import MAKE_ROOM
from arkor_dev.contract.units import format_bytes
from arkor_dev.local.cards.writer import describe_merged
from arkor_dev.local.evaluation.general import questions as general_questions
from arkor_dev.local.inference.adapter_scale import FULL_STRENGTH, AdapterScale
from arkor_dev.local.jobs.atomic_folder import MANIFEST, manifest_of, write_atomically
from arkor_dev.local.modeling.adapted_model import with_adapter
from arkor_dev.local.modeling.base_model import unwrapped
from arkor_dev.local.modeling.chat_template import end_ids, render, with_arguments
from arkor_dev.local.modeling.gpu_count import weights_of
from arkor_dev.local.modeling.tokenizer import load_tokenizer
from arkor_dev.local.training.rows.encoding import Encoding, encode
from arkor_dev.local.workers.errors import JobFailure

from .files import (
    copy_adapter,
    copy_model,
    copy_processor,
    free_memory,
    load_in_float32,
    merge,
    reload,
    save_merged,
    save_merged_by_tensor,
    stored_dtype,
    weights_bytes,
)
from .messages import Written
from .proof import BOUNDS, Questions, proof
from .template_checks import faults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import torch
    from peft import PeftModel
    from torch.nn import Module

    from arkor_dev.contract.shapes import ExportFile, ExportProof
    from arkor_dev.data.rows import Row, RowMessage
    from arkor_dev.local.modeling.base_model import Base
    from arkor_dev.local.modeling.example import Example

    from .proof import Outputs

    Progress = Callable[[str, float, float | None, str], None]

ROWS: Final = 16
"""Number of the job's rows to verify with; general questions fill up to twice as many texts."""
LONGEST: Final = 512
"""Maximum length of a text, in tokens."""
SPARE: Final = 1.05
ADAPTER: Final = "default"
"""PEFT's name for the only adapter of a model."""


@dataclass
class ExportTask:
    """The export of ``source`` in the format ``form``.

    ``source`` is an adapter or, if ``kind`` is ``model``, a fully fine-tuned model. ``base`` is the folder of
    its base model, ``name`` that model's name, and ``arguments`` are the training's chat template arguments.
    The export is written to ``target``. The adapter's change is scaled by ``strength``. With ``four_bit`` the
    adapter was trained on 4-bit weights, and the dequantized weights are written. llama.cpp's formats have a
    ``quantization``, and their converters and base models are in ``cache``. ``written`` is called once
    the files are in place; if they are ``in_place`` already, they are only verified. ``usage`` has a line for
    each program that reads them, for the card.
    """

    dtype: ClassVar[torch.dtype | None] = None
    """The dtype of merged weights, if it is not that of the base."""

    form: str
    source: Path
    kind: str
    base: Path
    name: str
    target: Path
    progress: Progress
    strength: float = FULL_STRENGTH
    quantization: str = ""
    cache: Path = field(default_factory=Path)
    four_bit: bool = field(default=False, kw_only=True)
    arguments: Mapping[str, bool] = field(default_factory=dict, kw_only=True)
    written: Callable[[Written], None] = field(default=lambda _: None, kw_only=True)
    in_place: bool = field(default=False, kw_only=True)
    usage: Sequence[tuple[str, str]] = field(default=(), kw_only=True)

    def make(self, rows: Sequence[Row]) -> ExportProof:
        """Write the export, and verify it with ``rows`` of the job's data.

        Raises :class:`JobFailure`, and OSError for disk errors.
        """
        if not self.in_place:
            self._check_room()
            if self._is_copy:
                self._copy()
        rows = rows[:: max(1, -(-len(rows) // ROWS))]  # at most ROWS, spread over all rows
        self.progress(f"Loading {self.name}", 0, None, "")
        base = load_in_float32(self.base, four_bit=self.four_bit)
        base.tokenizer = with_arguments(base.tokenizer, self.arguments)
        base.model.eval()
        questions = self._questions(base, rows)
        of_base = self._ask("the base model", questions, base.model)
        trained = with_adapter(base.model, self.source) if self.kind == "adapter" else None
        if trained is None:
            base.model = base.stream = None  # the two models need not fit into memory together
            free_memory()
            trained = load_in_float32(self.source).model.eval()
        elif self.strength != FULL_STRENGTH:
            AdapterScale(trained, ADAPTER).set(self.strength)
        of_trained = self._ask("the trained model", questions, trained)
        if not (self._is_copy or self.in_place):
            self.progress("Writing", 0, None, "")
            self._write(trained, base)
        base.model = base.stream = trained = None
        free_memory()
        prompts = [_prompt_of(row) for row in rows if row.text is None]
        of_exported, wrong = self._read_again(questions, of_trained, prompts)
        return proof(BOUNDS[self.written_as], questions, of_base, of_trained, of_exported, wrong)

    @property
    def _is_copy(self) -> bool:
        """Return whether the files are copied unchanged."""
        return self.form == "adapter" or self.kind != "adapter"

    def _files(self) -> Written:
        """Describe the files in place."""
        files: list[ExportFile] = [
            {"name": name, **entry} for name, entry in manifest_of(self.target)["files"].items()
        ]
        paths = (path for path in self.target.rglob("*") if path.is_file() and path.name != MANIFEST)
        size = sum(path.stat().st_size for path in paths)
        return Written(size, files)

    @property
    def written_as(self) -> str:
        """Return the key of the verification's bounds in ``BOUNDS``."""
        return self.form

    def _read_again(
        self, questions: Questions, trained: Outputs, prompts: Sequence[Sequence[RowMessage]]
    ) -> tuple[Outputs, list[str]]:
        """Return the exported model's outputs, and sentences about other problems."""
        del trained
        exported, tokenizer = reload(self.form, self.target, self.base, four_bit=self.four_bit)
        outputs = self._ask("the exported files", questions, exported)
        if tokenizer is None:
            return outputs, []
        trained_with = with_arguments(load_tokenizer(self.base), self.arguments)
        return outputs, faults(trained_with, tokenizer, questions.ends, exported, prompts)

    def _check_room(self) -> None:
        """Raise :class:`JobFailure` if the disk has too little space."""
        if self._is_copy:
            needed = SPARE * weights_bytes(self.source)
        else:
            needed = SPARE * weights_of(self.base)[0] * (self.dtype or stored_dtype(self.base)).itemsize
        self.target.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.target.parent).free
        if free < needed:
            raise JobFailure(
                f"The export takes {format_bytes(needed)}, and the disk has {format_bytes(free)} free. "
                f"{MAKE_ROOM}"
            )

    def _copy(self) -> None:
        copy = copy_adapter if self.form == "adapter" else copy_model
        write_atomically(self.target, lambda folder: copy(self.source, folder))
        self.written(self._files())

    def _write(self, trained: PeftModel, base: Base) -> None:
        def write(folder: Path) -> None:
            self._merge(trained, base, stored_dtype(self.base), folder)
            copy_processor(self.base, unwrapped(trained), folder)
            describe_merged(self.source, folder, self.strength)

        write_atomically(self.target, write)
        self.written(self._files())

    def _merge(self, trained: PeftModel, base: Base, dtype: torch.dtype, folder: Path) -> None:
        """Write the merged model in ``dtype``, tensor by tensor if its layers are streamed."""
        if base.stream and base.stream.active:
            save_merged_by_tensor(trained, base.stream, base.tokenizer, self.name, dtype, folder)
        else:
            save_merged(merge(trained), base.tokenizer, self.name, dtype, folder)

    def _questions(self, base: Base, rows: Sequence[Row]) -> Questions:
        tokenizer, longest = base.tokenizer, min(LONGEST, base.context)
        texts: list[Example] = []
        prompts: list[list[int]] = []
        for row in [*rows, *general_questions(2 * ROWS - len(rows))]:
            try:
                texts.append(encode(tokenizer, row, Encoding(longest))[0][-1])
                if row.text is None and len(prompts) < ROWS:
                    text = render(tokenizer, _prompt_of(row), add_generation_prompt=True, tools=row.tools)
                    prompts.append(tokenizer(text, add_special_tokens=False)["input_ids"][-longest:])
            except JobFailure:  # verification works with one question fewer
                continue
        if not texts:
            raise JobFailure("The model's chat template rejects all questions, so nothing could be verified")
        vocabulary = base.model.get_input_embeddings().weight.shape[0]
        return Questions(texts, prompts, end_ids(tokenizer, base.model), tokenizer.pad_token_id, vocabulary)

    def _ask(self, subject: str, questions: Questions, model: Module) -> Outputs:
        return questions.ask(
            model, lambda done, total: self.progress(f"Testing {subject}", done, total, "questions")
        )


def _prompt_of(row: Row) -> list[RowMessage]:
    """Return a row's messages before its last answer."""
    last = max(index for index, turn in enumerate(row.messages) if turn["role"] == "assistant")
    return list(row.messages[:last])
