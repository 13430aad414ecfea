"""Exports for llama.cpp and Ollama: GGUF files of a whole model or an adapter.

``export`` writes them, ``child`` is the child process in which llama.cpp loads them again, ``verification``
checks its outputs, and ``ollama`` writes a Modelfile. Start with ``export``.
"""
