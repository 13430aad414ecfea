"""The limited process that counts the tokens of long conversations.

In: ``{"model", "texts"}``, a model's folder and the texts of a prompt. Out: ``{"answer"}``, the model's
context length if the texts have more tokens, else null. Texts are counted in chunks, and counting stops once
the context is exceeded, so refusing a megabyte takes no longer than refusing a long page.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.regular_files import read_small
from arkor_dev.local.gguf.limited import limit_cpu_time, limit_memory
from arkor_dev.local.workers.link import Link

if TYPE_CHECKING:
    from collections.abc import Sequence

MEMORY: Final = 2**30
KILL_SECONDS: Final = 10
"""Limit of processor time in seconds, enforced by the system: a context of 1 M tokens takes 3."""
PIECE: Final = 8192
"""Number of characters tokenized at once."""
SLACK: Final = 4
"""Extra tokens that a chunk may have compared to the whole text, since words may be split at both ends."""
CONFIG_LIMIT: Final = 1 << 24


def main() -> None:
    """Answer until standard input ends."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    link = Link()
    limit_memory(MEMORY)
    from tokenizers import Tokenizer

    folder: str | None = None
    tokenizer: Any = None
    most: int | None = None
    while True:
        request: dict[str, Any] = link.receive()
        limit_cpu_time(KILL_SECONDS)
        too_long = False
        # The library raises nothing more specific; the loop reports the error.
        with contextlib.suppress(Exception):
            if folder != request["model"]:
                folder, tokenizer, most = None, None, None
                most = context(Path(request["model"]))
                tokenizer = Tokenizer.from_file(str(Path(request["model"]) / "tokenizer.json"))
                folder = request["model"]
            too_long = most is not None and exceeds(tokenizer, request["texts"], most)
        link.send(answer=most if too_long else None)


def context(folder: Path) -> int | None:
    """Return a model's context length in tokens, if its configuration states it under the usual name."""
    config = json.loads(read_small(folder / "config.json", CONFIG_LIMIT))
    for part in (config.get("text_config"), config):
        if isinstance(part, dict) and isinstance(most := part.get("max_position_embeddings"), int):
            return most
    return None


def exceeds(tokenizer: Any, texts: Sequence[str], most: int) -> bool:
    """Return whether ``texts`` definitely have more than ``most`` tokens."""
    tokenizer.no_padding()
    tokenizer.no_truncation()
    count = 0
    for text in texts:
        for start in range(0, len(text), PIECE):
            piece = tokenizer.encode_batch_fast([text[start : start + PIECE]], add_special_tokens=False)[0]
            count += max(0, len(piece) - SLACK)
            if count > most:
                return True
    return False


if __name__ == "__main__":
    main()
