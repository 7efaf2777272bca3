"""What each kind of fault does to the world, and how everything is made well again.

It may import agent and lab. ``fault_effects`` is called by the run.
"""
