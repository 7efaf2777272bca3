"""Values to text for people and scripts: widths, colours, times, sizes, the model out of its JSON.

It may import the status model; it asks nobody. ``terminal_output.TerminalOutput`` is what commands write on.
"""
