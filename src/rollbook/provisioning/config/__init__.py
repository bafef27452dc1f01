"""rollbook.yaml: read with positions, checked against shape and schemas, turned into `model.Config`."""

from rollbook.provisioning.config.check import check_config
from rollbook.provisioning.config.load import load_config
from rollbook.provisioning.config.problems import ConfigError, Mark, Problem

__all__ = ["ConfigError", "Mark", "Problem", "check_config", "load_config"]
