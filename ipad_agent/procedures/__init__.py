"""The procedures of SGP.32 clause 3, a folder for each kind; here the ground they share: ports, context, events.

They may import codec and policy; every other room comes in as a protocol of ``ports``. The agent's loop calls
``startup``, ``retrieval``, ``guardian`` and ``switching``.
"""
