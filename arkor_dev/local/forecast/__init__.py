"""How long a job will take and how much memory, measured before it is made: docs/contract.md#forecasts.

``worker`` is the process that measures, with the code that trains; ``service`` runs it when nothing else
does; ``outlook`` makes the forecast of what was measured. Start with ``service``.
"""
