"""ES2+: what an operator asks of the SM-DP+, and what the SM-DP+ tells the operator (SGP.22 §5.3, JSON binding §6.5).

It imports the orders and status words of the SM-DP+ and leaves by ``OperatorFunctions`` and ``OperatorLink``.
"""
