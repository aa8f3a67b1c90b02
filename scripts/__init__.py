"""Programs for whoever works on the project; nothing of them is installed."""
