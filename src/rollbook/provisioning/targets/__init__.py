"""Where people go."""
