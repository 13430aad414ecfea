"""llama.cpp as a second engine: the same loop and the same questions, computed from GGUF files.

``worker`` is its process, ``engine`` what the loop asks, ``native`` the calls of the library, and
``conversations`` which of them is in which place of its memory. Start with ``engine``.
"""
