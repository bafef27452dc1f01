"""What a check of the audit log may find, in the words that people read."""

REMOVED, ALTERED = "removed", "altered"
REMOVED_EARLY = "removed before this line, and before it was sealed"
INSERTED = "inserted"
SEAL_ALTERED = "seal altered"
SEAL_REMOVED = "removed with their seals"
SEAL_INSERTED = "seal inserted"
NO_SUCH_KEY = "sealed by a key that is not here"
WITHOUT_KEY = "sealed without the key that seals before were made by"
NEWEST_REMOVED = "the newest changes removed"
HEAD_GONE = "the head that was kept is not in the log"
REMOVED_UNSEALED = "removed before it was sealed"
UNSIGNED = "written without the key of the audit log"
SEALED_UNSIGNED = "sealed as if lines had not been signed yet"
COUNT_GONE = "the count of lines is gone"
COUNT_ALTERED = "the count of lines was altered"


def place_of(log: int, sequence: int) -> str:
    """A line by its place in its own log."""
    return f"change {sequence} of tenant number {log}" if log else f"act {sequence}"


def log_of(log: int) -> str:
    """A log."""
    return f"changes of tenant number {log}" if log else "acts"
