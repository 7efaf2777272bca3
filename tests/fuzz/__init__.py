"""Hostile input, all of it in one place.

``targets`` names every parser of what comes from outside, with the errors it may raise. ``mutate`` and ``heavy`` make
inputs out of the files in ``tests/corpus``, ``engine`` watches a parser read one of them. ``make test`` runs a bounded
part of that, the same every time; ``run`` goes on with new inputs for as long as one likes.
"""
