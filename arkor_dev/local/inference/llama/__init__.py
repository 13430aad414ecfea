"""llama.cpp as a second engine: the same loop and the same requests, computed from GGUF files.

Start with ``engine``, which the loop calls. ``worker`` is its process, ``native`` wraps the library, and
``conversations`` assigns conversations to sequences of its memory.
"""
