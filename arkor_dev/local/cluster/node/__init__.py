"""What runs on a node: ``actor`` with one job after another, its ``job_folders``, its worker's ``spool``."""
