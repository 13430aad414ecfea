"""The record of a training method: what Studio and the backend both know of it, without its libraries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from arkor_dev.data.forms import FORMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.data.forms import Form


BASE: Final = "base"
"""The name of a second model that is the base model itself, without the adapter."""


@dataclass(frozen=True, slots=True)
class Hint:
    """A sentence for a row that has all ``keys``, and is rejected because another method is set."""

    keys: tuple[str, ...]
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodRecord:
    """A training method's display name, and the rows that it learns from.

    Args:
        label: The display name.
        forms: The accepted forms of rows, by name.
        preference: What a row with a preference is. The verdict then counts how many of them the model
            follows more than it did at the start. Empty for a method that does not learn from preferences.
        second_model: The field of a job's config with the model that it needs besides the one that learns;
            empty if it needs none.
        hint: How to recognise a row of this method that another method rejects.
    """

    label: str
    forms: Mapping[str, Form] = field(default_factory=lambda: FORMS)
    preference: Literal["pair", "rating", ""] = ""
    second_model: str = ""
    hint: Hint | None = None
