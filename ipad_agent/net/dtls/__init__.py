"""DTLS 1.2 as a seam, and OpenSSL behind it: datagrams and time in, datagrams and events out.

It may import trust and the ground of the network room; it has no socket. ``dtls_backend`` is what others know,
``openssl_backend`` what they are given.
"""
