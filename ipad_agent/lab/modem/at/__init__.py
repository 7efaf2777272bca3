"""What the AT line says: lines to commands, the command table, the commands.

It may import the module behind the line. ``at_engine.AtEngine`` leaves it.
"""
