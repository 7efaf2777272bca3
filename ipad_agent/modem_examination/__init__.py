"""What `ipactl modem` finds out about a modem without an agent: which ports there are, who answers, what it can do.

It may import the rooms of modem and card; the daemon never loads it. ``port_survey``, ``modem_examination``,
``examination_report`` and ``profile_draft`` leave it.
"""
