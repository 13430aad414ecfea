"""Which engine answers: transformers, which is exact, or llama.cpp, which is quicker.

``choice`` says which and why, ``files`` has what llama.cpp reads, and ``answers`` asks the one that was
chosen and, where it cannot answer, the other. No library is loaded here. Start with ``answers``.
"""
