"""A job with all its files as a single file: ``writer`` exports it, ``reader`` imports and validates it."""
