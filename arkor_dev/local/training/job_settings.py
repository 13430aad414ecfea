"""A job's settings as training reads them, with a record of the values used.

Defaults change, and a job's record should show the values it was trained with. So reading a setting records
it: the record contains exactly the settings that training used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, cast

from arkor_dev.contract.settings import by_field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.contract.shapes import EvaluationSet

MethodSettings: TypeAlias = "Mapping[str, Any]"
"""A training method's own settings by field, with the types of `contract.job_settings` and every default
filled in.
"""


class EffectiveSettings:
    """The settings of ``config``, a `JobConfig` or some of its fields.

    ``used`` records each setting read, by field, with its effective value.
    """

    def __init__(self, config: Mapping[str, object]) -> None:
        self._config = config
        self._rows = {name: row.of(config.get("method")) for name, row in by_field().items()}
        self.used: dict[str, object] = {}

    def get(self, field: str, otherwise: object = None) -> Any:
        """Return the job's value, else the table's default, else ``otherwise``, or raise KeyError."""
        value, default = self._config.get(field), self._rows[field].default
        if value is None:
            value = otherwise if default is None else default
        return self.resolve(field, value)

    def applies(self, field: str) -> bool:
        """Return whether the job's training method has this setting."""
        return not (methods := self._rows[field].methods) or self.get("method") in methods

    def override(self, field: str, value: object) -> None:
        """Set ``value`` for a setting that the model determines, overriding the job's."""
        self._config = {**self._config, field: value}

    @property
    def evaluations(self) -> list[EvaluationSet]:
        """The job's own evaluation sets."""
        return cast("list[EvaluationSet]", self._config.get("evaluations") or [])

    def resolve(self, field: str, value: Any) -> Any:
        """Record and return the effective ``value`` of a setting if it differs from the configured one."""
        self.used[field] = value
        return value
