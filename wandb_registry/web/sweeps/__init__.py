"""The pages of sweeps: which parameters were tried, what came of each, and the buttons that pause, stop and cancel."""
