"""Stories about crashes, power cuts, stops and ports that vanish.

They may import the whole lab. Each registers itself.
"""
