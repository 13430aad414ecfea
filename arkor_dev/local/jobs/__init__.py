"""The local backend's jobs: storage, the queue that runs them, and their files.

``scheduler`` starts workers; nothing here loads a model. ``store`` implements a job's life cycle and events,
``records`` the list and a job's details, ``waiting`` the queue's order. Start with ``scheduler``.
"""
