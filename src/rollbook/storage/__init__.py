"""Stores: resources, memberships, the change log and the engine's links, kept safe."""
