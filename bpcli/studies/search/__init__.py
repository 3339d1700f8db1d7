"""Trying settings: what an experiment is worth with each, judged by folds of the rows that are not test."""
