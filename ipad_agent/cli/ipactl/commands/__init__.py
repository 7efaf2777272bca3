"""One function for each command of ``ipactl``; ``command_runner.HANDLERS`` names them.

They may ask the socket and, where no agent runs, the doctor. Only an exit status leaves them.
"""
