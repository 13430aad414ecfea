"""Estimates a job's time and memory by measuring before it starts: docs/contract.md#forecasts.

``worker`` is the process that measures with the training's own code; ``service`` runs it when the machine is
idle; ``estimate`` computes the estimate from the measurements. Start with ``service``.
"""
