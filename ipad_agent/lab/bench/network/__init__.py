"""The device's way to the servers: what it does to datagrams, and to TCP connections.

It imports nothing; whoever puts a client and a server together may use it.
"""
