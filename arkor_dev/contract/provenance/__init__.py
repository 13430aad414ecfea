"""``provenance.json``, which travels with what a job made: where it came from, and whether it still is that.

``statement`` has its shape and reads one, ``compare`` holds a folder to it: docs/provenance.md. Standard
library alone, and nothing of it is trusted, so that both sides and a machine without torch can check one.
"""
