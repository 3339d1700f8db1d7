"""What is likely to train badly, and why: the study behind `bpcli diagnose`.

scene      a network with its rows and weights
practice   short trainings on copies of it: a first step, one batch by heart; ramp: rates that grow
case       what is looked at: a scene, the epochs behind it, and what was measured so far
signals, weights, rates, table, splits, past
           the checks, each for one kind of trouble
cures      the settings that help, as `--set` says them
trial      what a cure does, measured
"""
