"""The limited process that counts the tokens of long conversations.

It receives `CountTokens` and sends `TokensCounted`.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.regular_files import read_small
from arkor_dev.local.gguf.limited import limit_cpu_time, limit_memory
from arkor_dev.local.inference.check_messages import CountTokens, TokensCounted
from arkor_dev.local.inference.prompt_length import exceeds
from arkor_dev.local.workers.link import Link

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


MEMORY: Final = 2**30
KILL_SECONDS: Final = 10
"""Limit of processor time in seconds, enforced by the system: a context of 1 M tokens takes 3."""
CONFIG_LIMIT: Final = 1 << 24


def main() -> None:
    """Answer until standard input ends."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    link = Link()
    limit_memory(MEMORY)
    from tokenizers import Tokenizer

    folder: str | None = None
    tokenizer: PreTrainedTokenizerBase = None
    most: int | None = None

    def count(piece: str) -> int:
        return len(tokenizer.encode_batch_fast([piece], add_special_tokens=False)[0])

    while True:
        request = link.receive(CountTokens)
        limit_cpu_time(KILL_SECONDS)
        too_long = False
        # The library raises nothing more specific; the loop reports the error.
        with contextlib.suppress(Exception):
            if folder != request.model:
                folder, tokenizer, most = None, None, None
                most = context(Path(request.model))
                tokenizer = Tokenizer.from_file(str(Path(request.model) / "tokenizer.json"))
                tokenizer.no_padding()
                tokenizer.no_truncation()
                folder = request.model
            too_long = most is not None and exceeds(count, request.texts, most)
        link.send(TokensCounted(most if too_long else None))


def context(folder: Path) -> int | None:
    """Return a model's context length in tokens, if its configuration states it under the usual name."""
    config = json.loads(read_small(folder / "config.json", CONFIG_LIMIT))
    for part in (config.get("text_config"), config):
        if isinstance(part, dict) and isinstance(most := part.get("max_position_embeddings"), int):
            return most
    return None


if __name__ == "__main__":
    main()
