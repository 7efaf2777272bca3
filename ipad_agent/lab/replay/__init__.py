"""A recording played back: the modem on a pty, and the eIM's answers.

Shares nothing with the recorder but the format of the file.
"""
