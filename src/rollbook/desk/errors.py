"""What is refused at a desk."""


class DeskError(Exception):
    """What was asked cannot be meant, or cannot be meant any more; the text says what to do."""
