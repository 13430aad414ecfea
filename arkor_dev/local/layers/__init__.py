"""A causal language model's layers computed with less work, on a processor without a GPU.

Rows of a batch lie end to end in one line, without padding (``line``); attention keeps them apart
(``attention``). The layers that cost the most save less and do less in one call each (``functions``), and
the loss never holds all its probabilities in float32 (``cross_entropy``). ``quicken`` puts them into a model,
each only where it gives what the model's own code gives. Start there. Brings torch: worker processes only.
"""
