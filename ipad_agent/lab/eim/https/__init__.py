"""The eIM's port for HTTPS with both bindings.

It may import the messages and the lab's HTTP server. ``esipa_https.HttpsServer`` leaves it.
"""
