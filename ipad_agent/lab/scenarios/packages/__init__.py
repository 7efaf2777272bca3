"""Stories about orders: every PSMO, eCO and data request, odd packages, several eIMs.

They may import the whole lab. Each registers itself.
"""
