"""What is likely to train badly, and why: the study behind `bpcli diagnose`.

case       what is looked at: a network, its rows, and where its training stands
practice   short trainings on copies: a first step, one batch by heart, rates that grow
checks     begin, signals, weights, rates, table, splits, past: each looks for one kind of trouble
cures      the settings that help, as `--set` says them
trial      what a cure does, measured
"""
