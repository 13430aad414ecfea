"""Faster layers for causal language models on a CPU.

A batch's rows are packed into one sequence without padding (``packing``); attention keeps them apart
(``attention``). The most expensive layers become single functions that save less for the backward pass
(``functions``), and the loss never holds all probabilities in float32 (``cross_entropy``). ``patch_model``
patches a model, layer by layer, wherever the results agree with the model's own code; start there. Imports
torch: for worker processes only.
"""
