"""The tiny model and its adapter as GGUF, made once for all tests of llama.cpp as an engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.local import gguf_extra
from tests.local.conftest import fork_children

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.local.inference.messages import AnswerRequest
    from tests.local.conftest import Trained


@pytest.fixture(scope="session")
def adapter(trained: Trained) -> Path:
    return trained.data / "jobs" / trained.job / "final"


@pytest.fixture(scope="session")
def with_converters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of the tests' own that has the machine's converters."""
    return gguf_extra.with_converters(tmp_path_factory.mktemp("gguf-cache") / "cache")


@pytest.fixture(scope="session")
def question(
    tiny: Path, adapter: Path, with_converters: Path, template: dict[str, str]
) -> Callable[..., AnswerRequest]:
    """Return a request for the tiny model in 16 bits, alone or with its adapter (``parrot``)."""
    from arkor_dev.local.gguf.files import cached_base, cached_lora
    from tests.local.inference.asking import ask

    def quiet(*_: Any) -> None:
        """Hears how far it has come."""

    with pytest.MonkeyPatch.context() as patch:
        fork_children(template, patch)
        base = cached_base(tiny, "tiny", "f16", with_converters, quiet)
        lora = cached_lora(adapter, tiny, with_converters, quiet)

    def asked(*, parrot: bool = False, **more: Any) -> AnswerRequest:
        request = ask(tiny, adapter if parrot else None, **more)
        return replace(request, gguf=str(base), lora=str(lora) if parrot else None)

    return asked
