"""Replay: a part of each step's rows are general prompts as the base model answers them, against forgetting.

The idea of self-distillation (Yang et al., Self-Distillation Bridges Distribution Gap in Language Model
Fine-Tuning, 2024, arXiv:2402.13669), with the data set left as it is.
"""
