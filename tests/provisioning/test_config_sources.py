"""Sources that are not files: what is read of their sections, where their secrets are, and what is refused."""

from pathlib import Path

import pytest
from tests.provisioning.test_config import load, mistakes

from rollbook.provisioning.config import ConfigError
from rollbook.provisioning.model import Changes
from rollbook.provisioning.schedule import Schedule

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


CHANGES = f"""version: 1
sources:
  hr:
    type: TYPE
    changes: {{CHANGES}}
OWN
{USERS}"""
ROLLBOOK = "    database: sqlite:///other.db"
WEBHOOK = f"version: 1\nsources:\n  hr:\n    type: webhook\n    secret: SECRET\n{USERS}"
KEY = "whsec_c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nz"


def _changes(kind: str, changes: str, own: str, key: str = "id") -> str:
    text = CHANGES.replace("TYPE", kind).replace("CHANGES", changes).replace("OWN", own)
    return text.replace("key: id", f"key: {key}")


def test_changes(tmp_path: Path) -> None:
    """How they are read, and when everything is: once a day unless the file says otherwise."""
    own = "    url: sqlite:///hr.db\n    query: SELECT 1"
    found = load(tmp_path, _changes("sql", "column: updated_at", own)).sources["hr"].changes
    assert found == Changes(Schedule(every=86_400_000), 300_000, "updated_at", None)
    text = _changes("sql", "column: n, query: 'SELECT 2', overlap: 1h, full: {cron: '0 3 * * *'}", own)
    found = load(tmp_path, text).sources["hr"].changes
    assert found == Changes(Schedule(cron="0 3 * * *"), 3_600_000, "n", "SELECT 2")
    assert load(tmp_path, SQL.replace("URL", "sqlite:///hr.db")).sources["hr"].changes is None


def test_another_rollbook(tmp_path: Path) -> None:
    """A database and a tenant, the first one without a word."""
    hr = load(tmp_path, _changes("rollbook", "", ROLLBOOK)).sources["hr"]
    assert (hr.path, dict(hr.options)["tenant"]) == ("sqlite:///other.db", 1)
    named = load(
        tmp_path,
        _changes("rollbook", "", "    database: ${DB}\n    tenant: 7"),
        DB="postgresql://u:s3cret@h/d",
    )
    assert named.sources["hr"].options["tenant"] == 7
    assert "s3cret" not in repr(named.sources["hr"])


def test_a_webhook(tmp_path: Path) -> None:
    """One secret, or several while one takes the place of the other."""
    hr = load(tmp_path, WEBHOOK.replace("SECRET", "${A}"), A=KEY).sources["hr"]
    assert (hr.path, hr.options["secrets"]) == ("/hooks/hr", (b"s" * 24,))
    assert "sss" not in repr(hr)
    hr = load(tmp_path, WEBHOOK.replace("SECRET", "['${A}', '${B}']"), A=KEY, B=KEY).sources["hr"]
    assert len(hr.options["secrets"]) == 2


def test_a_digest_for_all_that_decides(tmp_path: Path) -> None:
    """Rules, key and query change it; schedules, limits and secrets do not."""
    url = SQL.replace("URL", "${HR}")
    base = load(tmp_path, url, HR="postgresql://u:a@db/hr").sources["hr"].digest
    assert load(tmp_path, url, HR="postgresql://u:b@db/hr").sources["hr"].digest == base
    assert (
        load(
            tmp_path, url + "    shrink_limit: 0.5\n    schedule: {every: 1m}\n", HR="postgresql://u:a@db/hr"
        )
        .sources["hr"]
        .digest
        == base
    )
    for other in (
        url.replace("from: mail", "from: name"),
        url.replace("key: id", "key: mail"),
        url.replace("people", "staff"),
    ):
        assert load(tmp_path, other, HR="postgresql://u:a@db/hr").sources["hr"].digest != base


@pytest.mark.parametrize(
    ("text", "code", "title"),
    [
        (
            _changes("sql", "", "    url: sqlite:///hr.db\n    query: SELECT 1"),
            "RB104",
            "changes of source hr needs column",
        ),
        (
            _changes("scim", "overlp: 5m", "    url: https://x.example\n    token: ${OTHER}"),
            "RB103",
            "there is no key overlp here",
        ),
        (
            _changes("scim", "overlap: soon", "    url: https://x.example\n    token: ${OTHER}"),
            "RB105",
            "'soon' is no length of time; write 30s, 15m, 6h or 1d",
        ),
        (_changes("rollbook", "column: x", ROLLBOOK), "RB103", "there is no key column here"),
        (_changes("rollbook", "full: {evry: 1d}", ROLLBOOK), "RB103", "there is no key evry here"),
        (_changes("rollbook", "full: {}", ROLLBOOK), "RB105", "a schedule is one of every and cron"),
        (
            _changes("ldap", "", "    url: ldaps://x.example\n    base: ou=people"),
            "RB105",
            "changes need the key entryUUID",
        ),
        (_changes("csv", "", "    path: people.csv"), "RB103", "there is no key changes here"),
        (WEBHOOK.replace("SECRET", KEY), "RB112", "a secret must not stand in the file"),
        (WEBHOOK.replace("SECRET", "${NOT_SET}"), "RB113", "the variable NOT_SET is not set"),
        (WEBHOOK.replace("SECRET", "${OTHER}"), "RB113", "${OTHER} is no secret of a webhook"),
        (WEBHOOK.replace("SECRET", "[]"), "RB105", "secret of source hr is empty"),
        (WEBHOOK.replace("    secret: SECRET\n", ""), "RB104", "source hr needs secret"),
    ],
)
def test_mistakes_in_changes_and_webhooks(tmp_path: Path, text: str, code: str, title: str) -> None:
    """Each with its code and words."""
    found = mistakes(tmp_path, text, OTHER="x")
    assert (code, title) in {(problem.code, problem.title) for problem in found}
    assert all(KEY not in problem.text for problem in found)


def test_a_table_that_has_changed_changes_the_digest(tmp_path: Path) -> None:
    """What is made of a record is another thing then, though the record is the same."""
    rules = SQL.replace("URL", "sqlite:///hr.db").replace(
        "from: mail", """expr: 'lookup("names", record.mail)'"""
    )
    digests = [
        load(tmp_path, f"{rules}tables:\n  names: {{a: {to}}}\n").sources["hr"].digest for to in ("x", "y")
    ]
    assert len(set(digests)) == 2


SPILT = """
version: 1
alerts: {webhook: 'https://hooks.example/T0/s3cret'}
sources:
  hr: {type: webhook, secret: [s3cret-one], key: id, users: {userName: {from: mail}}}
  it: {type: webhook, secrets: [s3cret-two], key: id, users: {userName: {from: mail}}}
targets:
  app:
    type: scim
    url: http://localhost:1/v2
    oauth: {token_url: 'http://localhost:1/t', client_id: x, client_secret: s3cret-three}
    users: {userName: {from: userName}}
"""


@pytest.mark.parametrize("text", [SPILT, SPILT.replace("x, client_secret", "[, client_secret")])
def test_t_72_no_message_shows_what_looks_like_a_secret(tmp_path: Path, text: str) -> None:
    """In a list, under a longer or a misspelt name, in a file that is no YAML: whoever reads the log must not learn it."""
    with pytest.raises(ConfigError) as error:
        load(tmp_path, text)
    assert "s3cret" not in error.value.render()
    assert "•••" in error.value.render()
