"""Loading a base model and its chat template, in workers only: training and inference share it.

Start with ``base_model``.
"""
