"""What commands and orders do with sources, hub and targets, by a configuration. Nothing here prints, or knows who asks."""
