"""One module per format an inventory is exported to."""
