"""Stories about modules: one per family, and what happens to a line that others use too.

They may import the whole lab.
"""
