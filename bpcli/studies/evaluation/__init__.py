"""How good a trained model is: metrics, predictions, cross-validation, contact sheets."""
