"""Loads a base model and its chat template, in workers only; shared by training and inference.

Start with ``base_model``.
"""
