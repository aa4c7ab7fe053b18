"""Scores of maps on data sets: evaluation, results, folders of maps, sheets of examples."""
