"""The local backend's jobs: their store, the queue that runs them, and what they have on the disk.

``scheduler`` starts workers; nothing here loads a model. ``store`` has a job's life and its events,
``records`` the list and what a person says of a job, ``waiting`` the order of those that wait. Start with
``scheduler``.
"""
