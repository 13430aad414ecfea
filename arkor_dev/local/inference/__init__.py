"""Chat inference: a worker process that holds models, and the client that sends it requests.

Start with ``client``, which runs in the backend and loads no model. ``worker`` and ``transformers_engine``
run in the worker process; ``llama`` is a second engine, ``engines`` chooses between them.
"""
