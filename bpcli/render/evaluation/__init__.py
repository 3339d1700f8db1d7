"""Metrics, predictions, cross-validation and contact sheets, drawn."""
