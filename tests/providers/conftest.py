"""Servers in-process, as the server's own tests have them."""

from tests.server.conftest import told

__all__ = ["told"]
