"""The lab's card in a PC/SC reader, for programs that talk to readers and not to modems.

It imports nothing of the lab and leaves by ``VpcdCard``; any card may be in it.
"""
