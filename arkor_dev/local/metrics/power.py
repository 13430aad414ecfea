"""Detects whether this machine runs on battery."""

from __future__ import annotations


def on_battery() -> bool:
    """Return True only if that is certain; without a battery or a report the machine counts as on mains."""
    try:
        import psutil  # type: ignore[import-untyped]  # comes with accelerate, which peft needs

        battery = psutil.sensors_battery()
    except Exception:  # noqa: BLE001 - the package, the system's call or a broken driver: it is not known
        return False
    return battery is not None and battery.power_plugged is False
