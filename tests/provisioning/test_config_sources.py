"""Sources that are not files: what is read of their sections, where their secrets are, and what is refused."""

from pathlib import Path

import pytest
from tests.provisioning.test_config import load, mistakes

USERS = "    key: id\n    users: {userName: {from: mail}}\n"
SQL = f"version: 1\nsources:\n  hr:\n    type: sql\n    url: URL\n    query: SELECT id, mail FROM people\n{USERS}"
LDAP = (
    "version: 1\nsources:\n  hr:\n    type: ldap\n    url: ldaps://ldap.example.com\n    base: ou=people\n"
    f"    password: ${{LDAP_PASSWORD}}\n    bind_dn: cn=reader\n    ca_file: ca.pem\n{USERS}"
)
SCIM = f"version: 1\nsources:\n  hr:\n    type: scim\n    url: https://example.com/v2\n    token: ${{TOKEN}}\n{USERS}"


def test_a_database(tmp_path: Path) -> None:
    """Its URL stands there if it has no password, else where it is kept; people never see the password."""
    plain = load(tmp_path, SQL.replace("URL", "postgresql://reader@db/hr")).sources["hr"]
    assert (plain.type, plain.path, plain.options["url"]) == ("sql", *["postgresql://reader@db/hr"] * 2)
    named = load(tmp_path, SQL.replace("URL", "${HR}"), HR="postgresql://reader:s3cret@db/hr").sources["hr"]
    assert named.path == "postgresql://reader:•••@db/hr"
    assert named.options["url"] == "postgresql://reader:s3cret@db/hr"
    assert "s3cret" not in repr(named)
    assert named.columns == ("id", "mail")


def test_a_directory(tmp_path: Path) -> None:
    """What is read of it, with a path relative to the file and the password from the environment."""
    hr = load(tmp_path, LDAP, LDAP_PASSWORD="s3cret").sources["hr"]
    assert hr.path == "ldaps://ldap.example.com/ou=people"
    assert hr.options["ca_file"] == str(tmp_path / "ca.pem")
    assert hr.options["password"] == "s3cret"
    assert "s3cret" not in repr(hr)


def test_another_server(tmp_path: Path) -> None:
    """A token as for targets."""
    hr = load(tmp_path, SCIM, TOKEN="t0ken").sources["hr"]
    assert (hr.path, hr.options["token"]) == ("https://example.com/v2", "t0ken")
    assert "t0ken" not in repr(hr)


@pytest.mark.parametrize(
    ("text", "code", "title"),
    [
        (SQL.replace("URL", "postgresql://u:s3cret@db/hr"), "RB112", "a secret must not stand in the file"),
        (SQL.replace("URL", "${NOT_SET}"), "RB113", "the variable NOT_SET is not set"),
        (LDAP.replace("${LDAP_PASSWORD}", "s3cret"), "RB112", "a secret must not stand in the file"),
        (LDAP.replace("ldaps://", "https://"), "RB105", "url of source hr is not a base URL"),
        (SCIM.replace("${TOKEN}", "s3cret"), "RB112", "a secret must not stand in the file"),
        (SCIM.replace("type: scim", "type: smic"), "RB105", "type of source hr is not one of the choices"),
        (SCIM.replace("    type: scim\n", ""), "RB104", "source hr needs type"),
        (SCIM.replace("token:", "tokn:"), "RB103", "there is no key tokn here"),
        (SQL.replace("query:", "path:"), "RB103", "there is no key path here"),
        (SQL.replace("    query: SELECT id, mail FROM people\n", ""), "RB104", "source hr needs query"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, code: str, title: str) -> None:
    """Each with its code and words, and no secret in what is shown."""
    found = mistakes(tmp_path, text, OTHER="x")
    assert (code, title) in {(problem.code, problem.title) for problem in found}
    assert all("s3cret" not in problem.text for problem in found)
