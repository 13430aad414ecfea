"""From a model's logits to an answer, independent of the library that computes them. Uses numpy, not torch.

Start with ``loop``, which schedules requests and batches their steps. ``sampling`` chooses tokens,
``decoding`` turns them into text, and ``modeling.tool_calls`` parses the calls in it.
"""
