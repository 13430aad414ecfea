"""Training configurations of other tools, as a ``[[trainer]]`` of ``arkor.toml``.

``entries`` reads a file into keys, values and line numbers, without running anything. ``convert`` recognises
the tool, and the module of that tool says what each of its keys is called here; ``conversion`` collects the
result and, line by line, what could not be carried over.
"""
