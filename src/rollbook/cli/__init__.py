"""The rollbook command."""
