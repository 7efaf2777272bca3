"""Bringing home what is owed: results with their acknowledgement, notifications to their receivers.

It may import the ground, the records and the servers. ``result_delivery.deliver_owed`` and
``notification_delivery.deliver_notifications`` leave it.
"""
