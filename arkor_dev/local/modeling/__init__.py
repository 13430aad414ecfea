"""Loads a base model and its chat template, in workers. Start with ``base_model``."""
