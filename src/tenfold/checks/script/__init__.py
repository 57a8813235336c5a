"""Checking anyone's PyTorch program, unchanged: it runs in a child process under observation.

parent    starts the child, waits, stops it, reads what it found
child     runs the program as Python would, with the observer around it
observe   torch's functions, layers, losses, backward, optimisers, loaders: facts with the user's file and line (seen)
source    the program's syntax tree, for what a run cannot show
output, data, optimisation, modes, net, crash: the rules, one function each
verdict   which findings stay: a cause hides the symptoms that it explains
"""
