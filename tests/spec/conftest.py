"""The server the rows are tested on: that of tests/server, over HTTP in-process."""

from tests.server.conftest import anonymous, application, call, told

__all__ = ["anonymous", "application", "call", "told"]
