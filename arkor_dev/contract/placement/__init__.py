"""Where a job runs: how a cluster is named and what is told of one (docs/contract.md#placement).

Both sides share it. ``address``, ``storage`` and ``workers`` have what may be written,
``shapes`` what a backend answers.
"""
