"""Where a job may run besides this machine (docs/contract.md#placement)."""
