"""Faster layers for causal language models on a CPU.

A batch's rows are packed into one sequence without padding (``packing``); attention keeps the rows apart
(``attention``). The most expensive layers become fused functions that save less for the backward pass
(``functions``), and the loss never holds all probabilities in float32 (``cross_entropy``). ``patch_model``
patches a model, layer by layer, if the results agree with those of the model's own code; start there. Imports
torch: for worker processes only.
"""
