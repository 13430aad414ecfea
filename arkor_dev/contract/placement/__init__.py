"""Where a job runs: names and shapes of clusters (docs/contract.md#placement).

Shared by both sides. ``address``, ``storage`` and ``workers`` validate settings; ``shapes`` has the
responses.
"""
