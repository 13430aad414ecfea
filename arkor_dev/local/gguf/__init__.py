"""Models and adapters as GGUF files, which llama.cpp reads, made once and kept in the cache.

``client`` is the backend's side, ``worker`` the process that makes one file: it fetches llama.cpp's own
converters (``converters``) and lets them run in a limited child process (``limited``, ``convert``).
Whether the extra ``[gguf]`` is there says ``installed``. Start with ``making``.
"""
