"""Parameters that only CI tests: they take a path that others take too, with other numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _pytest.mark.structures import ParameterSet


def in_ci(*values: object) -> ParameterSet:
    """Return a parameter of ``pytest.mark.parametrize`` that is left to CI, and to whoever names its file."""
    return pytest.param(*values, marks=pytest.mark.ci)


def others_in_ci(values: Iterable[object]) -> list[object]:
    """Return the parameters of a test of which only the first is not left to CI."""
    first, *others = values
    return [first, *map(in_ci, others)]
