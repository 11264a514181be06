"""Scoring a Keras model: gradients, activations and flow for the criteria. Nothing in the model changes."""
