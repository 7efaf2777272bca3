"""Many devices at a time: a modem with a card for each, and a real agent on it, all against one eIM.

It may import the whole lab. ``many_devices.ManyDevices`` leaves it.
"""
