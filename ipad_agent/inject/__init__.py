"""Packages that an eIM pushes (SGP.32 v1.3 §3.1.1.2): listeners for HTTPS and CoAP over DTLS, off unless configured.

It may import codec and net. A stranger can cost the agent a few handshakes a minute here, and nothing else; what an eIM
pushes leaves as a package for the agent's own loop, which treats it as one that it fetched.
"""
