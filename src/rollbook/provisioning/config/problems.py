"""What is wrong in rollbook.yaml, and how it is told: where, why, and what to write instead.

Every problem has a code of the table below, so that it can be looked up; the form is the same everywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass

CODES: Mapping[str, str] = {
    "RB101": "the file is not YAML that can be read",
    "RB102": "a key stands twice",
    "RB103": "a key that does not exist",
    "RB104": "something is missing",
    "RB105": "a value of the wrong kind",
    "RB106": "a version this Rollbook does not know",
    "RB107": "an attribute that no schema has",
    "RB108": "an attribute that cannot be mapped here",
    "RB109": "a rule that does not fit its attribute",
    "RB110": "an expression that cannot be compiled",
    "RB111": "a scope that is not a filter",
    "RB112": "a secret that stands in the file",
    "RB113": "a secret that cannot be found",
    "RB114": "a column that the source or the table does not have",
    "RB115": "a source or a table that cannot be read",
    "RB116": "a profile that is not known",
    "RB117": "a mapping that the target's kind would refuse",
    "RB118": "drift that cannot be taken over",
    "RB125": "a rule of join that finds nobody",
    "RB126": "an attribute of several sources without one order",
}
"""Every code and what it stands for."""


@dataclass(frozen=True)
class Mark:
    """A place in the file: line and column from 1, and how many characters it spans."""

    line: int
    column: int
    width: int = 1


@dataclass(frozen=True)
class Problem:
    """One mistake. `text` is the line it is in; `label` stands beside the caret, `notes` below."""

    code: str
    title: str
    path: str
    mark: Mark
    text: str
    label: str = ""
    notes: tuple[str, ...] = ()

    def render(self) -> str:
        """The problem as it is printed, several lines without a last line end."""
        number = str(self.mark.line)
        margin = " " * len(number)
        before = self.text[: self.mark.column - 1]
        indent = "".join("\t" if character == "\t" else " " for character in before)
        width = max(1, min(self.mark.width, len(self.text) - len(before)))
        lines = [
            f"error[{self.code}]: {self.title}",
            f"{margin} ┌─ {self.path}:{self.mark.line}:{self.mark.column}",
            f"{margin} │",
            f"{number} │ {self.text}",
            f"{margin} │ {indent}{'^' * width} {self.label}".rstrip(),
            *(f"{margin} = {note}" for note in self.notes),
        ]
        return "\n".join(lines)


class ConfigError(Exception):
    """The configuration has mistakes: all that were found, in the order of the file."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = tuple(sorted(problems, key=lambda one: (one.mark.line, one.mark.column)))
        super().__init__(f"{len(problems)} mistakes in {problems[0].path}" if problems else "no mistakes")

    def render(self) -> str:
        """All problems as they are printed, and how many there are."""
        count = len(self.problems)
        total = f"{count} mistake{'' if count == 1 else 's'}; nothing was done."
        return "\n\n".join((*(problem.render() for problem in self.problems), total))
