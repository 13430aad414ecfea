"""Exports that llama.cpp runs: GGUF files of a whole model or an adapter, and what Ollama makes of one.

``making`` writes them, ``asking`` is the child process in which llama.cpp reads them again, and ``heard``
is what it said. ``ollama`` writes a Modelfile. Start with ``making``.
"""
