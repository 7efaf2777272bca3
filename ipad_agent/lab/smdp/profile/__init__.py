"""What is bound and how: metadata, packages, the bound profile package.

It may import the lab's cryptography. ``bpp_binding.bind`` leaves it.
"""
