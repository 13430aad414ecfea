"""The losses of a base model on the same rows, and its answers to the same questions, measured once.

They do not change from run to run. They are kept in the backend's data folder, by all that they depend on:
the model's files, the number format, the device, its threads, the libraries' versions, and the very batches
of tokens (so the chat template too).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from array import array
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FILE: Final = "base-losses.json"
ENTRIES: Final = 100
"""The newest stay."""
MOST_ROWS: Final = 1000
"""Losses of more rows at once are not kept: their file would be read at every start."""


class BaseLosses:
    """What is known of base models in the data folder ``data``.

    ``way`` is all that the losses depend on besides the rows. Where it is empty nothing is known or kept.
    """

    def __init__(self, data: Path, way: Mapping[str, Any]) -> None:
        self._path, self._way = data / FILE, dict(way)

    def again(self) -> BaseLosses:
        """What is known of the same model measured again, for the noise floor."""
        return BaseLosses(self._path.parent, {**self._way, "again": True} if self._way else {})

    def key(self, batches: Sequence[Sequence[Any]]) -> str:
        """What the losses of these batches of encoded rows are kept by; empty where they are not kept."""
        if not self._way or not 0 < sum(map(len, batches)) <= MOST_ROWS:
            return ""
        digest = hashlib.sha256(json.dumps(self._way, sort_keys=True, default=str).encode())
        for batch in batches:
            digest.update(f"\n{len(batch)} rows".encode())
            for row in batch:
                for sequence in row.sequences:
                    digest.update(f"\n{len(sequence.ids)} tokens ".encode())
                    digest.update(array("i", sequence.ids).tobytes())
                    digest.update(array("i", sequence.labels).tobytes())
        return digest.hexdigest()[:32]

    def answers_key(self, prompts: Sequence[Sequence[int]], longest: int) -> str:
        """What the base's answers to ``prompts``, in so many tokens at most, are kept by; as :meth:`key`."""
        if not self._way:
            return ""
        told = [self._way, longest, [list(prompt) for prompt in prompts]]
        digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode())
        return digest.hexdigest()[:32]

    def entry(self, key: str) -> Any:
        """What is kept by ``key``, of whatever kind; None where nothing is."""
        return known(self._path.parent).get(key)

    def get(self, batches: Sequence[Sequence[Any]]) -> list[float] | None:
        """The mean loss a token of each row, batch after batch; None where that is not known."""
        losses = self.entry(self.key(batches))
        if not isinstance(losses, list) or len(losses) != sum(map(len, batches)):
            return None
        sound = all(isinstance(loss, float) and math.isfinite(loss) for loss in losses)
        return list(losses) if sound else None

    def keep(self, batches: Sequence[Sequence[Any]], losses: Sequence[float]) -> None:
        """Keep what was measured; on a full disk it is measured again the next time."""
        self.put(self.key(batches), list(losses))

    def put(self, key: str, value: object) -> None:
        """Keep ``value`` by ``key``; nothing by an empty one."""
        if not key:
            return
        every = known(self._path.parent)
        every.pop(key, None)
        every[key] = value
        for old in list(every)[:-ENTRIES]:
            del every[old]
        part = self._path.with_name(f"{FILE}.{os.getpid()}.part")
        try:
            part.write_text(json.dumps(every))
            part.replace(self._path)
        except OSError:
            part.unlink(missing_ok=True)


def known(data: Path) -> dict[str, Any]:
    """All that is kept in a data folder, by key; empty where the file cannot be read."""
    try:
        found = json.loads((data / FILE).read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
