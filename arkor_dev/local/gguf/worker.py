"""The process that creates one file of the cache and then exits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from arkor_dev.local.workers.errors import write_failure
from arkor_dev.local.workers.link import serve_one

from .files import cached_base, cached_lora

if TYPE_CHECKING:
    from arkor_dev.local.workers.link import Link


def create(request: dict[str, Any], link: Link) -> dict[str, str]:
    """Create the requested file; return its ``path``. Raises JobFailure."""
    model, cache = Path(request["model"]), Path(request["cache"])
    if request["adapter"] is not None:
        path = cached_lora(Path(request["adapter"]), model, cache, link.progress)
    else:
        path = cached_base(model, request["name"], request["quantization"], cache, link.progress)
    return {"path": str(path)}


def main() -> None:
    serve_one(create, _reason)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return write_failure("the GGUF file", error)
    return f"The GGUF file could not be made: {type(error).__name__}: {error}"


if __name__ == "__main__":
    main()
