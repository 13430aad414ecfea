"""The process that makes one file of the cache and ends."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Any

from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.link import Link

from .making import cached_base, cached_lora


def made(order: dict[str, Any], link: Link) -> Path:
    """The file that ``order`` asks for; raises :class:`JobFailure`."""
    model, cache = Path(order["model"]), Path(order["cache"])
    if order["adapter"] is not None:
        return cached_lora(Path(order["adapter"]), model, cache, link.progress)
    return cached_base(model, order["name"], order["quantization"], cache, link.progress)


def main() -> None:
    """Serve the one message, then end."""
    link = Link()
    try:
        link.send(path=str(made(link.receive(), link)))
    except JobFailure as failure:
        link.send(error=str(failure))
    except OSError as error:
        link.send(error=f"The GGUF file could not be written: {error.strerror or error}")
    except Exception as error:  # noqa: BLE001 - the last line of defence of a process about to end
        traceback.print_exc()
        link.send(error=f"The GGUF file could not be made: {type(error).__name__}: {error}")
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
