"""Fixtures of the tests of streamed layers: a model in several files, and what a run in memory comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .test_streamed_layers import InMemory


@pytest.fixture(scope="session")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from .test_streamed_layers import make

    folder = make(tmp_path_factory.mktemp("deep"))
    assert len(list(folder.glob("*.safetensors"))) > 1, "the layers are in several files"
    return folder


@pytest.fixture
def in_memory(deep: Path) -> Callable[..., InMemory]:
    """The run in memory that streamed ones are compared with, trained once for each dtype and dropout."""
    from .test_streamed_layers import run_in_memory

    def of(dtype: str = "bfloat16", dropout: float = 0.0) -> InMemory:
        return run_in_memory(deep, deep.parent / f"memory-{dtype}-{dropout}", dtype, dropout)

    return of
