"""A job that runs: its worker process as the backend sees it (``training``), and what it prepares."""
