"""Exports a classifier's adapter and head, and verifies that transformers and PEFT load them unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification

from arkor_dev.local.modeling.adapted_model import with_adapter
from arkor_dev.local.modeling.auto_class import is_encoder
from arkor_dev.local.modeling.base_model import unwrapped
from arkor_dev.local.modeling.classes import HEAD, Classes
from arkor_dev.local.modeling.head import with_head
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.rows.encoding import Encoding
from arkor_dev.local.workers.errors import JobFailure

from .export import LONGEST, ROWS, ExportTask
from .files import free_memory, load_in_float32
from .proof import BOUNDS, Outputs, Questions, difference, outputs_proof, proof

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from arkor_dev.contract.shapes import ExportProof
    from arkor_dev.data.rows import Row

LOGITS: Final = 1e-4
"""Largest difference of a logit with which two classifiers count as equal."""


FIGURES: Final = (
    "its logits of {count} texts differ by {distance} at most, those without the adapter by {of_base}"
)


class ClassifierExport(ExportTask):
    """As `ExportTask`, for a classifier in the format ``adapter``."""

    def make(self, rows: Sequence[Row]) -> ExportProof:
        """Write and verify the export with the texts of ``rows``. See `ExportTask.make`."""
        if not self.in_place:
            self._check_room()
            self._copy()
        classes = Classes.read(self.source)
        self.progress(f"Loading {self.name}", 0, None, "")
        base = load_in_float32(self.base, four_bit=self.four_bit, headed=True)
        encoding = Encoding(min(LONGEST, base.context), classes=classes)
        known = [row for row in rows if _is_known(row, classes)]
        texts, _ = method("classify").encode_all(
            base.tokenizer, known[:: max(1, -(-len(known) // (2 * ROWS)))], encoding, lambda _: None
        )
        if not texts:
            raise JobFailure("The job's rows can't be read, so nothing could be verified")
        questions = Questions(texts, [], [], 0, len(classes.names))
        trained = with_adapter(with_head(base.model.eval(), classes), self.source)
        inner = unwrapped(trained)

        def own(ids: Tensor) -> Tensor:
            if is_encoder(inner.config):
                return inner(ids).logits
            return getattr(inner, HEAD)(inner.base_model(ids).last_hidden_state[:, -1])

        of_trained = self._logits("the trained model", questions, inner.device, own)
        with trained.disable_adapter():
            of_base = self._logits("the base model", questions, inner.device, own)
        base.model = trained = inner = None
        free_memory()
        exported = self._in_transformers(len(classes.names))
        of_exported = self._logits(
            "the exported files", questions, exported.device, lambda ids: exported(input_ids=ids).logits
        )
        apart = difference(torch.cat(of_trained), torch.cat(of_exported))
        if classes.multiple:  # no single label is the right one, so there is no loss to compare
            of_base_apart = difference(torch.cat(of_trained), torch.cat(of_base))
            return outputs_proof(len(of_trained), apart, of_base_apart, FIGURES, LOGITS)
        # NaN must not count as agreement.
        faults = [] if apart <= LOGITS else [f"Its logits differ by {apart:.2g} ({LOGITS:g} allowed)."]
        before, now, read_again = (
            Outputs([logits.log_softmax(-1) for logits in found])
            for found in (of_base, of_trained, of_exported)
        )
        return proof(BOUNDS["adapter"], questions, before, now, read_again, faults)

    def _in_transformers(self, classes: int) -> PeftModel:
        """Load the export as any program with transformers and PEFT does, in float32."""
        base = AutoModelForSequenceClassification.from_pretrained(
            self.base,
            num_labels=classes,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
        )
        return PeftModel.from_pretrained(base, str(self.target), torch_device="cpu").eval()

    def _logits(
        self,
        subject: str,
        questions: Questions,
        device: torch.device,
        logits: Callable[[Tensor], Tensor],
    ) -> list[Tensor]:
        """Return the ``logits`` of each text, ``[1, classes]``."""
        found = []
        with torch.inference_mode():
            for done, text in enumerate(questions.texts):
                self.progress(f"Testing {subject}", done, len(questions.texts), "questions")
                found.append(logits(torch.tensor([text.ids[:-1]], device=device)).float().cpu())
        return found


def _is_known(row: Row, classes: Classes) -> bool:
    """Return whether the classifier has the labels of ``row``."""
    try:
        classes.numbers(row)
    except JobFailure:
        return False
    return True
