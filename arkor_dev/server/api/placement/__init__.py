"""Targets for jobs besides this machine (docs/contract.md#placement)."""
