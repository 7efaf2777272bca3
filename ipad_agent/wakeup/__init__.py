"""Calls without content that bring the next poll forward: an SMS with a keyword, a UDP knock. Off unless configured.

It may import codec and modem. A call can do nothing but bring a poll forward, now and then; who is polled, and for
what, is decided as ever.
"""
