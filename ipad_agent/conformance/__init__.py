"""What of the specifications this IPA implements, and where that is written and tested."""
