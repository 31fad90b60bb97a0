"""Learning, seen as it happens: small networks trained side by side, and what is measured of them.

`data` makes the data sets, `losses` and `optimisers` are what they say; `learner` holds the networks,
`figures` measures them, and `run` trains them, in stretches of steps that any process can execute.
"""
