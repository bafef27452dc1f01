"""The engine that keeps targets in step with sources."""
