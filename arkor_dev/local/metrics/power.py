"""Whether this machine runs on its battery, if it has one and reports that."""

from __future__ import annotations


def on_battery() -> bool:
    """Return True only if that is certain; a machine without a battery, or without a report, is on mains."""
    try:
        import psutil  # type: ignore[import-untyped]  # comes with accelerate, which peft needs

        battery = psutil.sensors_battery()
    except Exception:  # noqa: BLE001 - the package, the system's call or a broken driver: it is not known
        return False
    return battery is not None and battery.power_plugged is False
