"""The local backend's jobs: their store, the queue that runs them, and their artifacts.

``scheduler`` starts workers; nothing here loads a model. Start with ``scheduler``.
"""
