"""Stories about switches that have to prove themselves, and those that no eIM ordered.

They may import the whole lab. Each registers itself.
"""
