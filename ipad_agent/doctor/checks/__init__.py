"""The checks themselves, one file for each layer from the machine to the eIM.

They may ask every room; what they find is told in ``doctor_items``. ``examination`` calls them in order.
"""
