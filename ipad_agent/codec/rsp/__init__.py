"""What an SM-DP+ or SM-DS says and is told: ES9+ and ES11, their JSON, activation codes, bound profile packages.

It may import the other rooms of the codec. Typed messages leave it; ESipa's JSON binding uses its envelope.
"""
