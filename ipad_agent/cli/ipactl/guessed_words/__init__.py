"""Words that somebody guessed: what was probably meant by them. Imports nothing of the command itself."""
