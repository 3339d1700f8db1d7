"""What is likely to train badly, and why: the study behind `bpcli diagnose`.

training_context   an experiment with its rows and weights
short_runs         short trainings of copies: a first step, one batch overfitted; lr_range_test: growing learning rates
diagnosis_context  what is diagnosed: a context, the epochs behind it, and what was measured so far
columns, weights, gradients, learning_rate, history, splits
                   the checks, each for one kind of trouble
remedies           the settings that help, as `--set` writes them
try_remedy         what a remedy does, measured
"""
