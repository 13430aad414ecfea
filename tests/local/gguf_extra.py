"""Tests that need llama.cpp are skipped, with how to get it, where the extra ``[gguf]`` is not installed.

CI installs it, so they are never skipped there.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from arkor_dev.local.gguf.converters import converters
from arkor_dev.local.gguf.installed import lacking

LACKING = lacking()
needs_gguf = pytest.mark.skipif(LACKING is not None and not os.environ.get("CI"), reason=str(LACKING))


def cache() -> Path:
    """The folder in which the converters are kept from one test's run to the next."""
    told = os.environ.get("ARKOR_TEST_CACHE")
    if not told:
        pytest.fail("ARKOR_TEST_CACHE names no folder for llama.cpp's converters: run scripts/test")
    return Path(told)


def with_converters(own: Path) -> Path:
    """A cache of the test's own that has the machine's converters, which take 76 MB to download."""
    folder = converters(cache(), lambda *_: None)
    own.mkdir(parents=True, exist_ok=True)
    (own / folder.name).symlink_to(folder)
    (own / "gguf" / "lora").mkdir(parents=True)
    return own
