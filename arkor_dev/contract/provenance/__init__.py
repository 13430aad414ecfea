"""``provenance.json``, shipped with a job's result: its origin and the hashes of its files.

``statement`` defines and reads it, ``compare`` checks a folder against it: docs/provenance.md. Uses only the
standard library, so that a machine without torch can check a folder, and trusts no content.
"""
