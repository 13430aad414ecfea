"""Choice of the engine: transformers, which is exact, or llama.cpp, which is faster.

Start with ``router``, which sends a request to the chosen engine or, if that cannot answer, to the other.
``choice`` decides which and why, ``gguf_files`` has the files for llama.cpp. No library is imported here.
"""
