"""Scenarios as JSON, capabilities, verdicts and the rules behind them."""
