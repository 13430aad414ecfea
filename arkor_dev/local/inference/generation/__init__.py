"""How an answer is made of a model's logits, whichever library computes them. No torch here: numpy alone.

``loop`` decides whose token is next and lets answers share steps; ``sampling`` chooses a token, ``text`` and
``tool_calls`` make words and calls of tokens. Start with ``loop``.
"""
