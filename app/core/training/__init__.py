"""Learning, seen as it happens: small networks trained side by side, and what is measured of them.

`data` is what is learned, `losses` what is made small, `optimisers` by which steps; `learner` holds the
networks, `figures` what is measured of them, and `run` trains them, in stretches that may be done anywhere.
"""
