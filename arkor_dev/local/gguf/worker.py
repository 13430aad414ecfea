"""The process that creates one file of the cache and then exits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.local.workers.errors import write_failure
from arkor_dev.local.workers.link import serve

from .files import cached_base, cached_lora
from .messages import CreateGguf, GgufCreated

if TYPE_CHECKING:
    from arkor_dev.local.workers.link import Link


def create(request: CreateGguf, link: Link) -> GgufCreated:
    """Create the requested file. Raises JobFailure."""
    model, cache = request.model, request.cache
    if request.adapter is not None:
        path = cached_lora(request.adapter, model, cache, link.progress)
    else:
        path = cached_base(model, request.name, request.quantization, cache, link.progress)
    return GgufCreated(path)


def main() -> None:
    serve(CreateGguf, create, _reason)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return write_failure("the GGUF file", error)
    return f"The GGUF file could not be made: {type(error).__name__}: {error}"


if __name__ == "__main__":
    main()
