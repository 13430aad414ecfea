"""Models and adapters as GGUF files for llama.cpp, created once and kept in the cache.

Start with ``making``. ``client`` is the backend's side, ``worker`` the process that creates one file: it
downloads llama.cpp's own converters (``converters``) and runs them in a limited child process (``limited``,
``convert``). ``installed`` says whether the extra ``[gguf]`` is installed.
"""
