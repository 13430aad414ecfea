"""The calls of the feature ``placement`` (docs/contract.md#placement); ``clusters`` inspects one."""
