"""The eIM as a client: it pushes packages to a device that listens (SGP.32 v1.3 §3.1.1.2).

It may import the rest of the eIM and the lab's cryptography; what it knows of a device is an address and a certificate.
"""
