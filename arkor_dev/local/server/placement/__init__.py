"""The calls of the feature ``placement`` (docs/contract.md#placement); ``clusters`` is who looks at one."""
