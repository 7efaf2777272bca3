"""Stories about consumer cards that an eIM manages because the device emulates the IoT functions in front of them.

It may import the whole lab. Only registered stories leave it.
"""
