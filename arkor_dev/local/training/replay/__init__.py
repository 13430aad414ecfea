"""Replay: mixes general prompts with the base model's answers into each step's rows, to reduce forgetting.

The idea of self-distillation (Yang et al., Self-Distillation Bridges Distribution Gap in Language Model
Fine-Tuning, 2024, arXiv:2402.13669), but with the data set left unchanged.
"""
