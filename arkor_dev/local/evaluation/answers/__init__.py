"""Compares answers of base and adapter to general questions: length, repetition, refusals. Start with
``figures``.
"""
