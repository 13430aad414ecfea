"""Code that runs on a node: the ``actor``, its ``job_folders``, and the ``spool`` of its worker's output."""
