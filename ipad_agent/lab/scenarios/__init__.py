"""The stories that ``ipad-agent lab run`` can tell, a folder for each subject. Each module registers its own.

They may import the whole lab. ``scenario_runner`` finds and runs them.
"""
