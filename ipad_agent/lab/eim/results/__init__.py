"""What devices deliver: judged, described, reported.

It may import records and signing. ``result_judgement.judge`` and ``result_report`` leave it.
"""
