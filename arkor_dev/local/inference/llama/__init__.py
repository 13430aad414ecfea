"""llama.cpp as a second engine: it has the same loop and requests, and computes from GGUF files.

Start with ``engine``, which the loop calls. ``worker`` is its process, ``native`` wraps the library, and
``conversations`` assigns conversations to sequences in its memory.
"""
