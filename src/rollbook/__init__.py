"""Rollbook: a SCIM 2.0 service provider, client and provisioning engine on one protocol core."""

__version__ = "0.1.0"
