"""Stories about profile downloads.

They may import the whole lab. Each registers itself.
"""
