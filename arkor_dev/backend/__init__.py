"""The only package that calls the backend's ``/v1``.

``client`` has a method a call, ``calls`` knows how one is made, ``http_client`` does the HTTP, and
``http_errors`` says what a failure means. It knows identity and scope by the protocols of ``interfaces``
alone. Start with ``client``.
"""
