"""Configs of jobs that have only the settings that a test is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from arkor_dev.contract.shapes import JobConfig


def config_of(settings: Mapping[str, object]) -> JobConfig:
    """A job's config with ``settings`` alone, though some of a real one's are missing."""
    return cast("JobConfig", dict(settings))
