"""Scores of tables: shapes, pairs, closest records, and what classifiers make of synthetic rows."""
