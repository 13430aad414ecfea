"""Exports a job's result for other programs and verifies that it answers like the trained model.

``service`` queues requests; ``worker`` is the process that writes (``writing``), loads the result like any
other program (``reading``) and compares (``proof``). Only that process imports torch. Start with ``making``.
"""
