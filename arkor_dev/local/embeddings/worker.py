"""The process that embeds a data set's rows and looks for groups of similar ones, and ends.

The order is ``{config, project, target}``; then the model's ``{path}``. The result is ``found``: how many
rows were embedded anew. Rows that any file of the same model has are not embedded again, and what is done so
far is kept every few seconds, so that an interrupted task continues. Start with ``work``.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.data.exclusions import row_hash
from arkor_dev.data.reader import EXCLUDED, open_data
from arkor_dev.data.rows import Row
from arkor_dev.data.sources import SourceError, every_file
from arkor_dev.local.training.job_settings import JobSettings
from arkor_dev.local.training.methods import method
from arkor_dev.local.training.rows.encoding import Encoding
from arkor_dev.local.training.rows.split import split
from arkor_dev.local.workers.errors import JobFailure, failure_reason
from arkor_dev.local.workers.link import serve_one

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.workers.link import Link

LONGEST: Final = 512
"""Most tokens of a row that are read."""
MOST_ROWS: Final = 100_000
KEEP_SECONDS: Final = 20.0
EXAMPLES: Final = 3
"""Rows that stand for a group."""
LABEL: Final = "Embedding rows"


@dataclass(slots=True)
class Read:
    """A row of the data set; ``number`` is 0 for one of a separate evaluation set."""

    number: int
    digest: int
    row: Row
    trained: bool
    held_out: bool = False


def work(order: dict[str, Any], link: Link) -> dict[str, Any]:
    """Do what the backend's message asks for."""
    config, settings = order["config"], JobSettings(order["config"])
    rows = read_rows(config, Path(order["project"]), settings)
    target = Path(order["target"])
    model = Path(link.receive()["path"])
    return {"found": {"embedded": embed(rows, settings, model, target, link)}}


def read_rows(config: Mapping[str, Any], project: Path, settings: JobSettings) -> list[Read]:
    """Return the readable rows of the data set that are not excluded, and of its evaluation set.

    Rows that wait for a judgement are among them. Raises JobFailure.
    """

    def refuse(_: object) -> Any:
        raise SourceError("only files of the project can be embedded")

    forms = method(settings.get("method")).forms

    def rows_of(source: Any, *, numbered: bool) -> list[Read]:
        try:
            files = [replace(file, forms=forms) for file in every_file(source, project, refuse)]
            found = []
            with open_data(files) as data:
                for each in data.scan(every=True):
                    if each.out == EXCLUDED or not isinstance(row := data.item(each).row, Row):
                        continue
                    number = each.location.number if numbered else 0
                    found.append(Read(number, row_hash(each.record.raw), row, trained=not each.out))
                    if len(found) > MOST_ROWS:
                        raise JobFailure(f"More than {MOST_ROWS:,} rows cannot be embedded")
        except (SourceError, OSError) as fault:
            raise JobFailure(f"The data set cannot be read: {fault}") from None
        return found

    rows = rows_of(config["datasetSource"], numbered=True)
    if (own := config.get("evalDatasetSource")) is not None:
        held_out = rows_of(own, numbered=False)
        for each in held_out:
            each.held_out = True
        return [*rows, *held_out]
    trained = [each.row for each in rows if each.trained]
    if trained:
        held = {id(row) for row in split(trained, settings).held_out}
        for each in rows:
            each.held_out = id(each.row) in held
    return rows


def embed(rows: list[Read], settings: JobSettings, model: Path, target: Path, link: Link) -> int:
    """Write the embeddings of ``rows`` to ``target``; return how many were computed anew."""
    if not rows:
        raise JobFailure("There are no rows to embed")
    import numpy as np

    from . import store

    kind = target.name.partition("-")[0]
    known = store.known(target.parent, kind)
    todo = {each.digest: each for each in rows if each.digest not in known}
    if todo:
        known |= _computed(list(todo.values()), settings, model, target, link)
    done = [each for each in rows if each.digest in known]
    if not done:
        raise JobFailure("The chat template rejects every row")
    link.progress("Looking for groups", 0, None, "")
    vectors = np.stack([known[each.digest][0] for each in done])
    losses = np.array([known[each.digest][1] for each in done], np.float32)
    _found(done, vectors, losses, len(rows) - len(done)).write(target)
    target.with_name(f"{kind}-part.npz").unlink(missing_ok=True)
    store.remove_old(target.parent)
    return len(todo)


def _computed(
    todo: list[Read], settings: JobSettings, path: Path, target: Path, link: Link
) -> dict[int, tuple[Any, float]]:
    """Return the vector and the loss of each row by its hash; rows that the template rejects have none."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from arkor_dev.local.modeling.lean_transformers import lean_imports
    from arkor_dev.local.modeling.template_syntax import check_template

    if any(each.row.text is None for each in todo):
        check_template(path)
    with lean_imports():
        import numpy as np

        from arkor_dev.local.modeling.base_model import load_base
        from arkor_dev.local.modeling.number_format import choose
        from arkor_dev.local.modeling.tokenizer import default_length
        from arkor_dev.local.training.adapter import hold_in
        from arkor_dev.local.training.plan import asked_format

        from .store import EmbeddedRows
        from .vectors import TOKENS_AT_ONCE, Embedder, batches
    link.progress("Loading the model", 0, None, "")
    base = load_base(path, settings.get("loadIn4bit"), None, as_stored=True)
    kept_formats = target.parent.parent / "number-formats.json"
    asked = asked_format(settings)
    choice = choose(base.model, base.device, base.dtype, TOKENS_AT_ONCE, asked, kept_formats)
    if base.device == "cpu":
        hold_in(base.model, choice.dtype)
    longest = min(settings.get("maxLength", default_length(base.device)), base.context, LONGEST)
    encoding, kind = Encoding.of(settings, longest), method(settings.get("method"))
    examples = [_example(base.tokenizer, each.row, kind, encoding) for each in todo]
    readable = [place for place, example in enumerate(examples) if example is not None]
    coded = [example for example in examples if example is not None]
    embedder, found = Embedder(base.model, base.device), dict[int, tuple[Any, float]]()
    total, done, kept = sum(len(each.ids) for each in coded), 0, time.monotonic()

    def keep() -> None:
        digests = np.array(list(found), np.uint64)
        empty = np.zeros(len(found), np.int16)
        vectors = np.stack([vector for vector, _ in found.values()])
        losses = np.array([loss for _, loss in found.values()], np.float32)
        flat = np.zeros((len(found), 2), np.float32)
        name = target.with_name(f"{target.name.partition('-')[0]}-part.npz")
        EmbeddedRows(empty, digests, vectors, losses, empty, empty, flat, {}).write(name)

    for batch in batches(coded):
        link.progress(LABEL, done, total, "tokens")
        vectors, losses = embedder([coded[place] for place in batch])
        for place, vector, loss in zip(batch, vectors.half().numpy(), losses, strict=True):
            found[todo[readable[place]].digest] = vector, loss
        done += sum(len(coded[place].ids) for place in batch)
        if time.monotonic() > kept + KEEP_SECONDS:
            keep()
            kept = time.monotonic()
    return found


def _example(tokenizer: Any, row: Row, kind: Any, encoding: Encoding) -> Example | None:
    """Return the text of a row that the method learns from; of a pair, the one with the chosen answer."""
    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.rows.encoding import coded

    try:
        texts, _ = kind.renderings(tokenizer, row, encoding)
        if not texts:
            return None
        whole = coded(tokenizer, row, texts[0 if kind.preference else -1], encoding.responses_only)
    except JobFailure:
        return None
    ids = whole.ids[: encoding.longest]
    return Example(ids, whole.labels[: encoding.longest]) if ids else None


def _found(rows: list[Read], vectors: Any, losses: Any, skipped: int) -> Any:
    """Return the embedded rows with their groups."""
    import numpy as np

    from .groups import DIMENSIONS, grouped, nearest_to_center, principal, terms
    from .store import EmbeddedRows

    points = principal(vectors, DIMENSIONS)
    labels = grouped(points)
    flat = np.zeros((len(points), 2), np.float32)
    flat[:, : min(2, points.shape[1])] = points[:, :2]
    told = []
    if labels is not None:
        count = int(labels.max()) + 1
        words = terms([_text(each.row) for each in rows], [int(label) for label in labels], count)
        for group in range(count):
            members = [each for each, label in zip(rows, labels, strict=True) if label == group]
            near = nearest_to_center(points, labels, group, len(members))
            examples = [rows[place].number for place in near if rows[place].number][:EXAMPLES]
            held_out = sum(each.held_out for each in members)
            told.append(
                {
                    "rows": sum(each.number > 0 for each in members),
                    "heldOut": held_out,
                    "terms": words[group],
                    "examples": examples,
                }
            )
    facts = {
        "rows": sum(each.number > 0 for each in rows),
        "heldOut": sum(each.held_out for each in rows),
        "skipped": skipped,
        "groups": told,
    }
    return EmbeddedRows(
        np.array([each.number for each in rows], np.uint32),
        np.array([each.digest for each in rows], np.uint64),
        vectors,
        losses,
        np.array([each.held_out for each in rows], bool),
        np.full(len(rows), -1, np.int16) if labels is None else labels,
        flat,
        facts,
    )


def _text(row: Row) -> str:
    if row.text is not None:
        return row.text
    return "\n".join(str(each["content"]) for each in row.messages if isinstance(each.get("content"), str))


if __name__ == "__main__":
    serve_one(work, failure_reason, nice=5)
