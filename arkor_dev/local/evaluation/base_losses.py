"""Cache of a base model's losses on the same rows and answers to the same questions.

These do not change between runs. The cache in the backend's data folder is keyed by everything they depend
on: the model's files, dtype, device, threads, library versions, and the batches of tokens.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from array import array
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from arkor_dev.local.modeling.example import Example

FILE: Final = "base-losses.json"
ENTRIES: Final = 100
"""Maximum number of entries; older ones are dropped."""
MOST_ROWS: Final = 1000
"""Maximum number of rows in a cached list of batches: a larger file would slow down every start."""


class BaseLosses:
    """The cache in the data folder ``data``.

    ``way`` identifies everything that the losses depend on, apart from the rows. Empty: nothing is cached.
    """

    def __init__(self, data: Path, setup: Mapping[str, object]) -> None:
        self._path, self._setup = data / FILE, dict(setup)

    def again(self) -> BaseLosses:
        """Return the cache for repeated measurements of the same model, which give the noise floor."""
        return BaseLosses(self._path.parent, {**self._setup, "again": True} if self._setup else {})

    def key(self, batches: Sequence[Sequence[Example]]) -> str:
        """Return the cache key for these batches of encoded rows; empty if they are not cached."""
        if not self._setup or not 0 < sum(map(len, batches)) <= MOST_ROWS:
            return ""
        digest = hashlib.sha256(json.dumps(self._setup, sort_keys=True, default=str).encode())
        for batch in batches:
            digest.update(f"\n{len(batch)} rows".encode())
            for row in batch:
                for sequence in row.sequences:
                    digest.update(f"\n{len(sequence.ids)} tokens ".encode())
                    digest.update(array("i", sequence.ids).tobytes())
                    digest.update(array("i", sequence.labels).tobytes())
                    digest.update(array("d", sequence.weights or ()).tobytes())
        return digest.hexdigest()[:32]

    def answers_key(self, prompts: Sequence[Sequence[int]], longest: int) -> str:
        """Return the cache key for answers to ``prompts`` of at most ``longest`` tokens; like :meth:`key`."""
        if not self._setup:
            return ""
        keyed = [self._setup, longest, [list(prompt) for prompt in prompts]]
        digest = hashlib.sha256(json.dumps(keyed, sort_keys=True, default=str).encode())
        return digest.hexdigest()[:32]

    def entry(self, key: str) -> object:
        """Return the cached value for ``key``, of any type; None without one."""
        return known(self._path.parent).get(key)

    def get(self, batches: Sequence[Sequence[Example]]) -> list[float] | None:
        """Return the mean loss per token of each row, batch after batch; None if unknown."""
        losses = self.entry(self.key(batches))
        if not isinstance(losses, list) or len(losses) != sum(map(len, batches)):
            return None
        sound = all(isinstance(loss, float) and math.isfinite(loss) for loss in losses)
        return list(losses) if sound else None

    def keep(self, batches: Sequence[Sequence[Example]], losses: Sequence[float]) -> None:
        """Cache the losses; a full disk only means that they are measured again."""
        self.put(self.key(batches), list(losses))

    def put(self, key: str, value: object) -> None:
        """Cache ``value`` by ``key``; ignore an empty key."""
        if not key:
            return
        entries = known(self._path.parent)
        entries.pop(key, None)
        entries[key] = value
        for old in list(entries)[:-ENTRIES]:
            del entries[old]
        part = self._path.with_name(f"{FILE}.{os.getpid()}.part")
        try:
            part.write_text(json.dumps(entries))
            part.replace(self._path)
        except OSError:
            part.unlink(missing_ok=True)


def known(data: Path) -> dict[str, object]:
    """Read the whole cache of a data folder; empty if the file is unreadable."""
    try:
        stored = json.loads((data / FILE).read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return stored if isinstance(stored, dict) else {}
