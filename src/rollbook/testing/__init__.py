"""Suites and tools for testing stores and connectors."""
