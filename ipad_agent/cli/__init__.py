"""``ipad-agent``, its demo, and ``ipactl``.

It may import every room but the procedures. ``__main__`` calls it.
"""
