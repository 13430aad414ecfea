"""A job with all its files as one file: ``writer`` makes it, ``reader`` takes one in and trusts nothing."""
