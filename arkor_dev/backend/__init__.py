"""The only package that calls the backend's ``/v1``.

Start with ``client``, which has a method for each call. ``calls`` makes it, ``http_client`` does the HTTP,
and ``http_errors`` explains failures. Identity and scope are known only through the protocols in
``interfaces``.
"""
