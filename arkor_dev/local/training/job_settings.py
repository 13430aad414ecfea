"""A job's settings as the training code asks for them, and the record of what it was told.

Whoever looks at a job later must not have to guess from the defaults of that day what ran. So the record is
made by asking: it has what the training really read, and a setting that nothing reads is missing in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from arkor_dev.contract.settings import by_field

if TYPE_CHECKING:
    from collections.abc import Mapping


class JobSettings:
    """The settings of ``config``; ``used`` has each that was asked for, by field, as it came to be."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._rows = by_field()
        self.used: dict[str, object] = {}

    def get(self, field: str, otherwise: object = None) -> Any:
        """What the job says, else the table's default, else ``otherwise``; KeyError for no setting."""
        value, default = self._config.get(field), self._rows[field].default
        if value is None:
            value = otherwise if default is None else default
        return self.settle(field, value)

    def settle(self, field: str, value: Any) -> Any:
        """Note ``value`` as what the setting came to, where that is not what the job says; returns it."""
        self.used[field] = value
        return value
