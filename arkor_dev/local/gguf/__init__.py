"""Models and adapters as GGUF files for llama.cpp, created once and kept in the cache.

Start with ``files``. ``client`` is the backend's side, ``worker`` the process that creates one file: it
downloads llama.cpp's own converters (``converters``) and runs them in a limited child process (``limited``,
``convert``). ``installed`` checks whether the extra ``[gguf]`` is installed.
"""
