"""Training small networks side by side, and the figures measured on the way.

`data` has the data sets, `losses` the losses, `optimisers` the optimisers and `learner` the networks;
`figures` measures them, and `run` trains them, in stretches of steps that any process can execute.
"""
