"""Answers to a few fixed prompts while a model trains (docs/contract.md#samples). Start with ``taking``."""
