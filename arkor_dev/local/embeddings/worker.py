"""The process that embeds a data set's rows and looks for groups of similar ones.

Runs no model. Start with ``work``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.local.models.catalog import Model
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.workers.errors import JobFailure, failure_reason
from arkor_dev.local.workers.link import serve

from .messages import EmbedRows, RowsRead
from .rows import LONGEST, Read, read_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

    from arkor_dev.contract.dataset_shapes import RowGroup, RowGroups
    from arkor_dev.local.workers.link import Link

    from .store import EmbeddedRows
    from .token_vectors import TokenVectors

CHARACTERS: Final = 8 * LONGEST
"""Number of characters of a row that are tokenized."""
AT_ONCE: Final = 256
EXAMPLES: Final = 3
"""Number of rows that represent a group."""
LABEL: Final = "Embedding rows"


def work(order: EmbedRows, link: Link) -> RowsRead:
    """Process the backend's request."""
    rows = read_rows(order.config, Path(order.project), EffectiveSettings(order.config))
    return RowsRead(embed(rows, link.receive(Model).path, Path(order.target), link))


def embed(rows: Sequence[Read], model: Path, target: Path, link: Link) -> int:
    """Write the embeddings of ``rows`` to ``target``; return their number."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from arkor_dev.local.modeling.tokenizer import load_tokenizer

    from .groups import DIMENSIONS, principal
    from .store import EmbeddedRows, remove_old
    from .token_vectors import TokenVectors

    tokenizer, table = load_tokenizer(model), TokenVectors(model)
    done: list[Read] = []
    coded: list[list[int]] = []
    for start in range(0, len(rows), AT_ONCE):
        link.progress("Reading rows", start, len(rows), "rows")
        part = rows[start : start + AT_ONCE]
        # A word's tokens depend on the character before it. The first word of a text or line should get the
        # same tokens as elsewhere, or rows would be similar because of their first words.
        texts = [" " + " ".join(row.text[:CHARACTERS].split()) for row in part]
        ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
        for row, own in zip(part, ids, strict=True):
            if own:
                done.append(row)
                coded.append(own[:LONGEST])
    if not done:
        raise JobFailure("No row has any text to embed")

    def tell(count: int) -> None:
        if count % AT_ONCE == 0:
            link.progress(LABEL, count, len(coded), "rows")

    vectors = table.embed(coded, tell)
    link.progress("Looking for groups", 0, None, "")
    points = principal(vectors, DIMENSIONS)
    labels = groups_of(coded, points, tokenizer, table)
    _described(done, vectors, points, labels, len(rows) - len(done)).write(target)
    remove_old(target.parent, EmbeddedRows.KIND)
    return len(done)


def groups_of(
    coded: Sequence[list[int]],
    points: NDArray[np.float32],
    tokenizer: PreTrainedTokenizerBase,
    table: TokenVectors,
) -> NDArray[np.int16] | None:
    """Return the group of each row from its token ids and its point, or None if no groups stand out."""
    from .groups import count_groups, grouped, sampled

    names = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    # How tokenizers mark a word's first token: as bytes (Ġ), or in SentencePiece (▁).
    begins = [(name or "")[:1] in ("Ġ", "▁") for name in names]
    words = table.words([coded[at] for at in sampled(len(coded))], begins.__getitem__)
    count = count_groups(*words)
    return None if count is None else grouped(points, count)


def _described(
    rows: Sequence[Read],
    vectors: NDArray[np.float16],
    points: NDArray[np.float32],
    labels: NDArray[np.int16] | None,
    skipped: int,
) -> EmbeddedRows:
    """Return the embedded rows with the facts about their groups."""
    import numpy as np

    from .groups import nearest_to_center, terms
    from .store import EmbeddedRows

    flat = np.zeros((len(points), 2), np.float32)
    flat[:, : min(2, points.shape[1])] = points[:, :2]
    groups: list[RowGroup] = []
    if labels is not None:
        count = int(labels.max()) + 1
        words = terms([row.text for row in rows], [int(label) for label in labels], count)
        for group in range(count):
            members = [row for row, label in zip(rows, labels, strict=True) if label == group]
            near = nearest_to_center(points, labels, group, len(members))
            examples = [rows[index].number for index in near if rows[index].number][:EXAMPLES]
            held_out = sum(row.held_out for row in members)
            groups.append(
                {
                    "rows": sum(row.number > 0 for row in members),
                    "heldOut": held_out,
                    "terms": words[group],
                    "examples": examples,
                }
            )
    facts: RowGroups = {
        "rows": sum(row.number > 0 for row in rows),
        "heldOut": sum(row.held_out for row in rows),
        "skipped": skipped,
        "groups": groups,
    }
    return EmbeddedRows(
        facts=facts,
        numbers=np.array([row.number for row in rows], np.uint32),
        vectors=vectors,
        held_out=np.array([row.held_out for row in rows], bool),
        groups=np.full(len(rows), -1, np.int16) if labels is None else labels,
        points=flat,
    )


if __name__ == "__main__":
    serve(EmbedRows, work, failure_reason, nice=5)
