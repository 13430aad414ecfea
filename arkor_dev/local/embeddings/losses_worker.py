"""The process that measures the loss of each row of a data set under a model.

Rows found in any file for the same model are not measured again, and results are saved every few
seconds, so that an interrupted task can continue. Start with ``work``.
"""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.settings.classification import METHOD as CLASSIFY
from arkor_dev.local.modeling.classes import Classes, is_classifier, read_temperature
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.rows.encoding import Encoding
from arkor_dev.local.workers.errors import JobFailure, failure_reason
from arkor_dev.local.workers.link import serve

from .messages import MeasureRows, RowsRead
from .rows import LONGEST, Read, read_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase

    from arkor_dev.data.rows import Row
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.methods.interface import Method
    from arkor_dev.local.workers.link import Link

KEEP_SECONDS: Final = 20.0
LABEL: Final = "Measuring losses"


def work(order: MeasureRows, link: Link) -> RowsRead:
    """Process the backend's request."""
    settings = EffectiveSettings(order.config)
    rows = read_rows(order.config, Path(order.project), settings)
    target, adapter = Path(order.target), Path(order.adapter) if order.adapter else None
    return RowsRead(measure(rows, settings, link.receive(Model).path, adapter, target, link))


def measure(
    rows: Sequence[Read],
    settings: EffectiveSettings,
    model: Path,
    adapter: Path | None,
    target: Path,
    link: Link,
) -> int:
    """Write the losses of ``rows`` to ``target``; return how many were newly measured."""
    from .store import RowLosses, remove_old

    kind = target.name.split("-")[1]
    known = RowLosses.known(target.parent, kind)
    part = target.with_name(f"{RowLosses.KIND}-{kind}-part.npz")
    todo = {row.digest: row for row in rows if row.digest not in known}
    if todo:
        known |= _measured(list(todo.values()), settings, model, adapter, part, link)
    done = [row for row in rows if row.digest in known]
    if not done:
        raise JobFailure("The chat template rejects every row")
    _write([(row.number, row.digest, known[row.digest]) for row in done], target)
    part.unlink(missing_ok=True)
    remove_old(target.parent, RowLosses.KIND)
    return len(todo)


def _write(rows: Sequence[tuple[int, int, float]], target: Path) -> None:
    import numpy as np

    from .store import RowLosses

    numbers, digests, losses = zip(*rows, strict=True)
    RowLosses(
        facts={},
        numbers=np.array(numbers, np.uint32),
        hashes=np.array(digests, np.uint64),
        losses=np.array(losses, np.float32),
    ).write(target)


def _measured(
    todo: Sequence[Read],
    settings: EffectiveSettings,
    path: Path,
    adapter: Path | None,
    part: Path,
    link: Link,
) -> dict[int, float]:
    """Return rows' losses by hash, if the template accepts them; ``part`` has earlier results."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from arkor_dev.local.modeling.template_syntax import check_template

    if any(row.row.text is None for row in todo):
        check_template(path)
    from arkor_dev.local.inference.classifier_head import ClassifierHead
    from arkor_dev.local.modeling.adapted_model import with_adapter
    from arkor_dev.local.modeling.base_model import load_base
    from arkor_dev.local.modeling.head import with_head
    from arkor_dev.local.modeling.number_format import choose
    from arkor_dev.local.modeling.tokenizer import default_length
    from arkor_dev.local.training.adapter import convert_weights
    from arkor_dev.local.training.plan import asked_format

    from .losses import TOKENS_AT_ONCE, batches, label_losses_of, losses_of

    kind = method(settings.get("method"))
    classes = Classes.read(adapter) if adapter and is_classifier(adapter) else None
    if kind.name == CLASSIFY and classes is None:
        raise JobFailure("The base cannot classify, so it has no losses: choose a finished job")
    link.progress("Loading the model", 0, None, "")
    base = load_base(path, settings.get("loadIn4bit"), None, as_stored=True, headed=classes is not None)
    kept_formats = part.parent.parent / "number-formats.json"
    number_format = asked_format(settings)
    choice = choose(base.model, base.device, base.dtype, TOKENS_AT_ONCE, number_format, kept_formats)
    if base.device == "cpu":
        convert_weights(base.model, choice.dtype)
    if classes:
        with_head(base.model, classes)
    model = with_adapter(base.model, adapter) if adapter else base.model.eval()
    measure_batch = losses_of
    if classes and adapter:
        measure_batch = partial(
            label_losses_of,
            head=ClassifierHead.read(adapter, base.device, base.model.config),
            temperature=read_temperature(adapter),
        )
    longest = min(settings.get("maxLength", default_length(base.device)), base.context, LONGEST)
    encoding = Encoding.of(settings, longest, classes)
    examples = [_example(base.tokenizer, row.row, kind, encoding) for row in todo]
    readable = [index for index, example in enumerate(examples) if example is not None]
    coded = [example for example in examples if example is not None]
    losses_by_hash: dict[int, float] = {}
    total, done, saved_at = sum(len(row.ids) for row in coded), 0, time.monotonic()
    for batch in batches(coded):
        link.progress(LABEL, done, total, "tokens")
        losses = measure_batch(model, rows=[coded[index] for index in batch], device=base.device)
        for index, loss in zip(batch, losses, strict=True):
            losses_by_hash[todo[readable[index]].digest] = loss
        done += sum(len(coded[index].ids) for index in batch)
        if time.monotonic() > saved_at + KEEP_SECONDS:
            _write([(0, digest, loss) for digest, loss in losses_by_hash.items()], part)
            saved_at = time.monotonic()
    return losses_by_hash


def _example(
    tokenizer: PreTrainedTokenizerBase, row: Row, kind: Method, encoding: Encoding
) -> Example | None:
    """Return the text of a row that the method learns from; for a pair, the text with the chosen answer.

    None if the template rejects it, or a classifier does not know its label.
    """
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.rows.encoding import coded

    try:
        if encoding.classes:
            return kind.encode(tokenizer, row, encoding)[0][0]
        texts, _ = kind.renderings(tokenizer, row, encoding)
        if not texts:
            return None
        coding = coded(tokenizer, row, texts[0 if kind.record.preference else -1], encoding)
    except JobFailure:
        return None
    ids = coding.ids[: encoding.longest]
    weights = coding.weights and coding.weights[: encoding.longest]
    return Example(ids, coding.labels[: encoding.longest], weights=weights) if ids else None


if __name__ == "__main__":
    serve(MeasureRows, work, failure_reason, nice=5)
