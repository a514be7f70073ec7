"""How the embedded CLIP was made: options, pool of drawn pictures, words, batches, learner, losses,
run.
"""
