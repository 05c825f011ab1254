"""Months of procedures in one batch: engine, store, rules and report."""
