"""The process that makes one export and ends."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arkor_dev.contract.bodies import LLAMA_FORMATS
from arkor_dev.local.modeling.lean_transformers import lean_imports
from arkor_dev.local.training.preparation import Preparation
from arkor_dev.local.workers.errors import JobFailure, out_of_memory
from arkor_dev.local.workers.link import Link

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.data.rows import Row


class Work:
    """One export, from its message to its end."""

    def __init__(self) -> None:
        self.link = Link()

    def export(self) -> dict[str, Any]:
        """Make the export in the message. Raises :class:`JobFailure`."""
        order = self.link.receive()
        form, kind = order["format"], order["kind"]
        rows = self._rows(order)
        model = self.link.receive()
        os.environ["HF_HUB_OFFLINE"] = "1"  # everything is read from local folders from here on
        with lean_imports():
            from .making import Making
        base, source, target = Path(model["path"]), Path(order["source"]), Path(order["target"])
        what = (form, source, kind, base, model["name"], target, self.link.progress, order["strength"])

        def written(files: dict[str, Any]) -> None:
            self.link.send(written=files)

        if form in LLAMA_FORMATS:
            from .llama.making import LlamaMaking

            how = (order["quantization"], Path(order["cache"]))
            return LlamaMaking(*what, *how, written=written).make(rows)
        return Making(*what, written=written).make(rows)

    def _rows(self, order: Mapping[str, Any]) -> list[Row]:
        """Return rows of the job's data: held-out ones, else trained ones; empty if the data are gone."""
        try:
            preparation = Preparation(order, lambda *_, **__: None, self.link.progress)
            preparation.read()
        except JobFailure:
            return []
        return preparation.eval_rows or preparation.train_rows

    def run(self) -> None:
        """Run; report any error as a reason for a person."""
        try:
            self.link.send(exported=self.export())
        except JobFailure as failure:
            self.link.send(error=str(failure))
        except OSError as error:
            self.link.send(error=f"It could not be written: {error.strerror or error}")
        except Exception as error:  # noqa: BLE001 - the last line of defence of a process about to end
            traceback.print_exc()
            reason = f"{type(error).__name__}: {error}"
            if out_of_memory(error):
                reason = "The machine ran out of memory: the whole model must fit into it in float32"
            self.link.send(error=reason)


if __name__ == "__main__":
    if hasattr(os, "nice"):
        os.nice(5)
    Work().run()
    sys.stdout.flush()
    os._exit(0)
