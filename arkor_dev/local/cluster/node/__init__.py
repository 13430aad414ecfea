"""Code that runs on a node: the ``actor``, its ``job_folders``, and its worker's ``spool``."""
