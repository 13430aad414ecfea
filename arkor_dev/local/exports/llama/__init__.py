"""Exports for llama.cpp and Ollama: GGUF files of a whole model or an adapter.

``making`` writes them, ``asking`` is the child process in which llama.cpp loads them again, ``heard`` checks
its answers, and ``ollama`` writes a Modelfile. Start with ``making``.
"""
