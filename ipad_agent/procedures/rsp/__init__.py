"""The server's side of a download, reached directly or through the eIM, and how a download ends early.

It may import the codec and ``ports``. ``rsp_servers`` is for downloads and for notifications.
"""
