"""Where the device key is kept: in a file, or in a token behind PKCS#11.

It may import the emulation's own key and the errors. ``key_place`` leaves it.
"""
