"""Using a trained net: predictions."""
