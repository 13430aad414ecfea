"""Answers to a few fixed prompts during training (docs/contract.md#samples). Start with ``sampler``."""
