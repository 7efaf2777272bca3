"""Stories about the ways to card and eIM: modems, channels, lossy networks, trust.

They may import the whole lab. Each registers itself.
"""
