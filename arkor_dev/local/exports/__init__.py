"""Exports a job's result for other programs, and verifies that it answers like the trained model.

``service`` queues requests; ``worker`` is the process that writes files (``files``), loads them like another
program, and compares outputs (``proof``). Only that process imports torch. Start with ``export``.
"""
