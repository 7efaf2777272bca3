"""What ``ipactl`` shows: from a value to lines, without asking anybody anything."""
