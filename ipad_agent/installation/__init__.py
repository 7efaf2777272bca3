"""Installs the service around a program that came by pip: unit, user, policies, udev rule, first configuration.

It may import ``packaged_files`` and no room; the command line calls it. It leaves files on the disk and lines of text.
"""
