"""When to poll one eIM, how failures keep the agent away, what holds work back.

It may import time as a value; it knows nothing of switches. ``poll_schedule`` decides, the agent's timetable asks.
"""
