"""From a model's logits to an answer, whichever library computes them. It uses numpy, not torch.

Start with ``loop``, which schedules requests and batches their steps. ``sampling`` chooses tokens,
``decoding`` and ``tool_calls`` turn them into text and calls.
"""
