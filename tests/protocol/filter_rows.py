"""The table of filters: those that are answered, with the ids they find, and those that are refused.

It tests parser, printer, matcher and every store, on the documents of `filter_documents`. Longer than other
files because it is one table.
"""

from dataclasses import dataclass, replace

from tests.protocol.filter_documents import BADGE, CATALOG, DEVICE, DOCUMENTS, ENTERPRISE, SUPPORT

from rollbook.protocol.quirks import AUTO, RFC, Profile, Quirk

__all__ = [
    "BADGE",
    "CATALOG",
    "DEVICE",
    "DOCUMENTS",
    "ENTERPRISE",
    "REFUSED",
    "ROWS",
    "SUPPORT",
    "Refused",
    "Row",
]


@dataclass(frozen=True)
class Row:
    """A filter on one resource type and the ids of the documents it finds."""

    rule: str
    type: str
    text: str
    ids: frozenset[str]
    profile: Profile = RFC

    def __str__(self) -> str:
        return f"{self.rule}: {self.text[:60]}"


def _rows(type: str, prefix: str, *rows: tuple[str, str, str], profile: Profile = RFC) -> list[Row]:
    """Rows of (rule, filter, last parts of the ids, `*` for all)."""
    all_ids = frozenset(document["id"] for name, document in DOCUMENTS if name == type)
    return [
        Row(
            rule,
            type,
            text,
            all_ids if ids == "*" else frozenset(prefix + end for end in ids.split()),
            profile,
        )
        for rule, text, ids in rows
    ]


_NS = "urn:ietf:params:scim:schemas:core:2.0:User"
ROWS: list[Row] = [
    *_rows(
        "User",
        "u-",
        ("P-3.4.2.2-02", 'userName eq "cem"', "cem"),
        ("P-3.4.2.2-02", 'userName eq "nobody"', ""),
        ("P-3.4.2.2-03", 'USERNAME EQ "cem" AND Title Pr OR userName eQ "eve"', "eve"),
        ("P-3.4.2.2-03", "NOT (NAME.GIVENNAME PR)", "dee eve fay"),
        ("P-3.4.2.2-08", "name pr or title pr and active eq false", "ann bob cem dee"),
        ("P-3.4.2.2-08", "(name pr or title pr) and active eq false", "cem dee"),
        ("P-3.4.2.2-08", 'active eq false and title pr or userName eq "eve"', "dee eve"),
        ("P-3.4.2.2-08", "not (title pr) and active pr", "cem fay"),
        ("P-3.4.2.2-09", "not(title pr)", "cem eve fay"),
        ("P-3.4.2.2-09", "not   ( title   pr )", "cem eve fay"),
        ("P-3.4.2.2-09", "not (not (title pr))", "ann bob dee"),
        ("P-3.4.2.2-09", 'not (title pr and userType eq "Employee")', "cem dee eve fay"),
        ("P-3.4.2.2-06", '  ((userName eq "cem"))  ', "cem"),
        ("P-3.4.2.2-06", 'userName eq"cem"', "cem"),
        ("P-3.4.2.2-10", 'emails[type eq "work" and value co "@home"]', ""),
        ("P-3.4.2.2-10", 'emails[type eq "work" and value co "@work"]', "ann bob fay"),
        ("P-3.4.2.2-10", 'emails.type eq "work" and emails.value co "@home"', "ann bob"),
        ("P-3.4.2.2-10", 'emails[type eq "work"] and emails[type eq "home"]', "ann bob"),
        ("P-3.4.2.2-10", 'emails[type eq "other"]', "cem"),
        ("P-3.4.2.2-10", 'name[givenName eq "ann" and familyName sw "ö"]', "ann"),
        ("P-3.4.2.2-11", 'emails[type eq "other" or (type eq "home" and value ew ".org")]', "ann cem"),
        ("P-3.4.2.2-11", 'emails[not (type eq "work")]', "ann bob cem"),
        ("P-3.4.2.2-11", 'not (emails[type eq "work"])', "cem dee eve"),
        ("P-3.4.2.2-11", 'emails[type eq "work" and not (primary eq true)]', "bob fay"),
        ("P-3.4.2.2-11", "emails[primary pr]", "ann"),
        ("P-3.4.2.2-11", "emails[not (primary pr)]", "ann bob cem fay"),
        ("P-3.4.2.2-12", 'emails.value eq "ann@home.example.org"', "ann"),
        ("P-3.4.2.2-12", 'emails.value ew ".com"', "ann bob fay"),
        ("P-3.4.2.2-13", 'name.givenName eq "bob"', "bob"),
        ("P-3.4.2.2-14", 'emails co "example.com"', "ann bob fay"),
        ("P-3.4.2.2-14", 'emails eq "CEM@example.org"', "cem"),
        ("P-3.4.2.2-14", 'roles eq "auditor"', "eve"),
        ("P-3.4.2.2-14", "emails pr", "ann bob cem fay"),
        ("P-3.4.2.2-14", "name pr", "ann bob cem"),
        ("P-3.4.2.2-14", "addresses pr", "eve"),
        ("P-3.4.2.2-15", 'userName eq "BOB@EXAMPLE.COM"', "bob"),
        ("P-3.4.2.2-15", 'externalId eq "E100"', "ann"),
        ("P-3.4.2.2-15", 'externalId eq "e100"', "bob"),
        ("P-3.4.2.2-15", 'externalId sw "e"', "bob"),
        ("P-3.4.2.2-15", 'id eq "U-ANN"', ""),
        ("P-3.4.2.2-15", 'id eq "u-ann"', "ann"),
        ("P-3.4.2.2-15", 'profileUrl eq "https://people.example.com/ann"', ""),
        ("P-3.4.2.2-15", 'profileUrl co "example.com/A"', "ann"),
        ("P-3.4.2.2-16", 'nickName eq "José"', "dee"),
        ("P-3.4.2.2-16", 'nickName eq "JOSE\u0301"', "dee"),
        ("P-3.4.2.2-16", 'userName eq "dee"', "dee"),
        ("P-3.4.2.2-16", 'displayName eq "STRASSE 5"', "dee"),
        ("P-3.4.2.2-16", 'displayName co "SSE"', "dee"),
        ("P-3.4.2.2-16", 'name.familyName sw "ÖZT"', "ann"),
        ("P-3.4.2.2-16", 'displayName co "語の"', "fay"),
        ("P-3.4.2.2-18", "active eq true", "ann bob fay"),
        ("P-3.4.2.2-18", "active eq false", "cem dee"),
        ("P-3.4.2.2-18", r'userName eq "\u0063em"', "cem"),
        ("P-3.4.2.2-21", "title eq null", "cem eve fay"),
        ("P-3.4.2.2-21", "title ne null", "ann bob dee"),
        ("P-3.4.2.2-21", "emails eq null", "dee eve"),
        ("P-3.4.2.2-21", "name eq null", "dee eve fay"),
        ("P-3.4.2.2-21", "not (active eq null)", "ann bob cem dee fay"),
        ("P-3.4.2.2-22", 'title ne "engineer"', "bob cem dee eve fay"),
        ("P-3.4.2.2-22", "active ne true", "cem dee eve"),
        ("P-3.4.2.2-22", 'emails.type ne "work"', "cem dee eve"),
        ("P-3.4.2.2-22", 'emails[type ne "work"]', "ann bob cem"),
        ("P-3.4.2.2-23", 'title co ""', "ann bob dee"),
        ("P-3.4.2.2-23", 'title sw "engineer"', "ann dee"),
        ("P-3.4.2.2-23", 'title ew "ENGINEERING"', "bob"),
        ("P-3.4.2.2-23", 'title co "of"', "bob"),
        ("P-3.4.2.2-24", "groups pr", "ann bob"),
        ("P-3.4.2.2-25", "active pr", "ann bob cem dee fay"),
        ("P-3.4.2.2-27", f'schemas eq "{ENTERPRISE}"', "ann bob dee"),
        ("P-3.4.2.2-27", f'schemas eq "{BADGE}"', "bob cem"),
        ("P-3.4.2.2-27", f'schemas ne "{ENTERPRISE}"', "cem eve fay"),
        ("P-3.4.2.2-28", f'{_NS}:userName sw "E"', "eve"),
        ("P-3.4.2.2-28", f'{_NS.upper()}:NAME.GIVENNAME eq "Ann"', "ann"),
        ("P-3.4.2.2-28", f'{_NS}:emails[type eq "home"]', "ann bob"),
        ("P-3.4.2.2-28", f'{ENTERPRISE}:department eq "engineering"', "ann bob"),
        ("P-3.4.2.2-28", f'{ENTERPRISE}:manager.value eq "u-bob"', "ann"),
        ("P-3.4.2.2-28", f"{ENTERPRISE}:manager pr", "ann"),
        ("P-3.4.2.2-28", f'{BADGE}:division eq "tower"', "bob"),
        ("P-3.4.2.2-28", f"{BADGE}:number gt 9", "cem"),
        ("P-3.4.2.2-28", f'{ENTERPRISE}:division ne "North" and {BADGE}:number pr', "cem"),
        ("P-3.4.2.2-30", 'meta.created eq "2024-07-01T00:00:00+02:00"', "dee"),
        ("P-3.4.2.2-30", 'meta.created gt "2024-06-30T22:00:00Z"', "eve fay"),
        ("P-3.4.2.2-30", 'meta.created ge "2024-07-01T00:00:00+02:00"', "dee eve fay"),
        ("P-3.4.2.2-30", 'meta.lastModified lt "2024-01-02T08:00:00.001Z"', "ann bob"),
        ("P-3.4.2.2-31", 'userName ge "eve"', "eve fay"),
        ("P-3.4.2.2-31", 'userName lt "BOB"', "ann"),
        ("P-3.4.2.2-31", f'{ENTERPRISE}:employeeNumber gt "2"', "bob"),
        ("P-3.4.2.2-31", 'displayName gt "straße 5"', "fay"),
        ("P-3.4.2.2-31", 'emails.type le "home"', "ann bob"),
        ("P-3.4.2.2-33", 'displayName co "%_"', "cem"),
        ("P-3.4.2.2-33", 'displayName co "_%"', ""),
        ("P-3.4.2.2-33", 'displayName sw "%"', ""),
        ("P-3.4.2.2-33", 'displayName co "; drop table"', "cem"),
        ("P-3.4.2.2-33", 'userName co "_"', "fay"),
        ("P-3.4.2.2-33", 'name.familyName co "\'"', "cem"),
        ("P-3.4.2.2-33", r'name.familyName co "\""', "cem"),
        ("P-3.4.2.2-33", r'name.givenName ew "\\"', "cem"),
        ("P-3.4.2.2-33", 'displayName eq "x\' or 1=1 --"', ""),
        ("P-3.4.2.1-03", 'meta.resourceType eq "User"', "*"),
        ("P-3.4.2.1-03", 'meta.resourceType eq "user"', ""),
        ("P-3.4.2.2-12", 'groups.value eq "g-dev" and groups.display eq "operations"', "bob"),
        ("P-3.4.2.2-10", 'groups[value eq "g-dev" and display eq "operations"]', ""),
        ("RFC 7643 2.4", f'{ENTERPRISE}:manager.$ref eq "../Users/u-bob"', "ann"),
        ("RFC 7643 2.4", f'{ENTERPRISE}:manager.$ref eq "https://scim.example.com/v1/Users/u-bob"', "ann"),
        ("RFC 7643 2.4", f'{ENTERPRISE}:manager.$ref eq "../Users/u-ann"', ""),
        ("S-26", f'{ENTERPRISE}:manager.$ref eq "Users/u-bob"', "ann"),
        ("S-26", f'{ENTERPRISE}:manager.$ref eq "/Groups/u-bob"', ""),
        ("S-26", f'{ENTERPRISE}:manager.$ref ne "Users/u-bob"', "bob cem dee eve fay"),
        ("S-26", f"{ENTERPRISE}:manager.$ref pr", "ann"),
        ("S-26", f'{ENTERPRISE}:manager[$ref eq "../Users/u-bob" and value pr]', "ann"),
        ("RFC 7643 2.3.6", 'x509Certificates.value eq "AQIDBA"', "eve"),
        ("RFC 7643 2.3.6", 'x509Certificates.value eq "aqidba=="', ""),
    ),
    *_rows(
        "Group",
        "g-",
        ("P-3.4.2.2-24", "members pr", "dev ops"),
        ("P-3.4.2.2-24", "not (members pr)", "new"),
        ("P-3.4.2.2-12", 'members.value eq "u-bob"', "dev ops"),
        ("P-3.4.2.2-14", 'members eq "u-ann"', "dev"),
        ("A-42", 'id eq "g-dev" and members eq "u-bob"', "dev"),
        ("A-42", 'id eq "g-new" and members eq "u-bob"', ""),
        ("P-3.4.2.2-10", 'members[type eq "Group" and value eq "g-dev"]', "ops"),
        ("P-3.4.2.2-10", 'members[type eq "Group" and value eq "u-bob"]', ""),
        ("P-3.4.2.2-22", 'members.value ne "u-ann"', "ops new"),
        ("P-3.4.2.2-15", 'displayName sw "DEPT-"', "new"),
        ("P-3.4.2.2-15", 'externalId sw "dept-"', "dev"),
        ("P-3.4.2.2-21", "members eq null", "new"),
    ),
    *_rows(
        "Device",
        "d-",
        ("P-3.4.2.2-15", 'serial eq "A1"', "01"),
        ("P-3.4.2.2-15", 'serial co "1"', "01 02 05"),
        ("P-3.4.2.2-15", 'serial lt "a"', "01 03 05 06"),
        ("P-3.4.2.2-18", "slots eq 9", "01"),
        ("P-3.4.2.2-18", "slots ne 9", "02 03 04 05 06"),
        ("P-3.4.2.2-18", "weight eq -5e-1", "03"),
        ("P-3.4.2.2-18", "weight eq 10.0", "02"),
        ("P-3.4.2.2-18", "weight eq -0.0", "04"),
        ("P-3.4.2.2-31", "slots gt 9", "02 05 06"),
        ("P-3.4.2.2-31", "slots lt 0", "03"),
        ("P-3.4.2.2-31", "slots le 0", "03 04"),
        ("P-3.4.2.2-31", "slots gt 9007199254740992", "05"),
        ("P-3.4.2.2-31", "weight ge 2.5", "01 02 06"),
        ("P-3.4.2.2-31", "weight lt 10", "01 03 04"),
        ("P-3.4.2.2-31", "weight gt -1 and weight lt 0", "03"),
        ("P-3.4.2.2-30", 'bought eq "2011-05-13T06:42:34+02:00"', "01"),
        ("P-3.4.2.2-30", 'bought eq "2011-05-13T04:42:34"', "01"),
        ("P-3.4.2.2-30", 'bought ge "2011-05-13T04:42:34.500Z"', "02"),
        ("P-3.4.2.2-30", 'bought lt "1970-01-01T00:00:00Z"', "04"),
        ("RFC 7643 2.3.6", 'fingerprint eq "-_8BAg"', "01"),
        ("RFC 7643 2.3.6", 'fingerprint ne "AQID"', "01 03 04 05 06"),
        ("RFC 7643 2.3.7", 'manual eq "https://docs.example.com/Router"', "01"),
        ("RFC 7643 2.3.7", 'manual ew "/router"', "02"),
        ("RFC 7643 2.4", 'keeper eq "Users/u-ann"', "01"),
        ("RFC 7643 2.4", 'keeper sw "https://scim.example.com/"', "01 02"),
        ("P-3.4.2.2-14", "tags pr", "01 02 05"),
        ("P-3.4.2.2-12", 'tags eq "CORE"', "01 02"),
        ("P-3.4.2.2-12", 'tags sw "ed"', "01"),
        ("P-3.4.2.2-22", 'tags ne "core"', "03 04 05 06"),
        ("P-3.4.2.2-33", 'tags co "%"', "05"),
        ("P-3.4.2.2-12", "ports gt 400", "01 02"),
        ("P-3.4.2.2-12", "ports lt 0", "03"),
        ("P-3.4.2.2-12", "ports gt 22 and ports lt 443", "01"),
        ("P-3.4.2.2-13", "place.floor eq 0", "01"),
        ("P-3.4.2.2-24", "place pr", "01 04"),
        ("P-3.4.2.2-24", "place.site pr", "01"),
        ("P-3.4.2.2-25", "label pr", "01 02"),
        ("P-3.4.2.2-25", "enabled pr", "01 02"),
        ("P-3.4.2.2-25", "slots pr", "*"),
        ("P-3.4.2.2-10", 'keys[type eq "ssh" and bits gt 1000]', "02"),
        ("P-3.4.2.2-10", 'keys[type eq "tls" and bits gt 1000]', "01"),
        ("P-3.4.2.2-10", "keys[bits eq 256 and trusted eq false]", "02"),
        ("P-3.4.2.2-10", 'keys[hosts eq "B" and hosts sw "a."]', "01"),
        ("P-3.4.2.2-11", 'keys[not (hosts eq "b") and type pr]', "01 02"),
        ("P-3.4.2.2-14", 'keys eq "urn:key:3"', "02"),
        ("P-3.4.2.2-15", 'keys.value sw "URN"', ""),
        ("P-3.4.2.2-12", 'keys.issued lt "2021-01-01T00:00:00Z"', "01"),
        ("P-3.4.2.2-12", 'keys.digest eq "AQID"', "02"),
        ("P-3.4.2.2-31", "keys.strength gt 0.25", "02"),
        ("P-3.4.2.2-29", "keys pr", "01 02 04"),
        ("P-3.4.2.2-12", "keys.note pr", "04"),
        ("P-3.4.2.2-28", f'{SUPPORT}:contract eq "gold"', "01"),
        ("P-3.4.2.2-28", f'{SUPPORT}:contact.value eq "Desk-1"', "02"),
        ("P-3.4.2.2-28", f'{SUPPORT}:until gt "2029-12-31T23:59:59Z"', "01"),
        ("P-3.4.2.2-28", f"not ({SUPPORT}:contact pr)", "01 03 04 05 06"),
    ),
    *_rows(
        "User",
        "u-",
        ("A-11", "userName eq cem", "cem"),
        ("A-11", "userName eq bob@example.com", "bob"),
        ("A-11", "userName eq 'cem' or userName eq eve", "cem eve"),
        ("A-11", "meta.resourceType eq User", "*"),
        ("A-11", "active eq True", "ann bob fay"),
        ("A-11", "title eq NULL", "cem eve fay"),
        ("A-12", 'active eq "True"', "ann bob fay"),
        ("A-12", 'roles[primary eq "TRUE"]', "eve"),
        ("A-12", 'active ne "fALSE"', "ann bob eve fay"),
        ("A-92", 'emails[type eq "work"].value eq "ann@work.example.com"', "ann"),
        ("A-92", 'emails[type eq "home"].value co "@work"', ""),
        ("A-92", 'roles[primary eq "True"].value eq "admin" and userName pr', "eve"),
        ("A-92", 'emails[type eq "home" or type eq "other"].value ew "org"', "ann cem"),
        ("A-79", f'{ENTERPRISE}:manager eq "u-bob"', "ann"),
        ("A-79", 'manager eq "u-bob"', "ann"),
        ("A-79", 'id eq "u-ann" and manager eq "u-bob"', "ann"),
        ("A-03", 'department eq "Sales"', "dee"),
        ("A-03", 'manager.value eq "u-bob"', "ann"),
        ("A-15", 'active co "t"', ""),
        ("A-15", 'not (active co "t")', "*"),
        ("A-15", 'meta.created sw "2024-01"', "ann bob cem"),
        ("A-15", 'meta.created ew "08:00:00.000z"', "ann bob cem"),
        ("A-15", 'x509Certificates.value co "AQ"', ""),
        profile=AUTO,
    ),
    *_rows(
        "Device",
        "d-",
        ("A-15", 'slots co "9"', ""),
        ("A-15", 'bought co "-05-13t04"', "01 02"),
        ("A-15", 'bought co ""', "01 02 04"),
        ("A-15", 'keys[bits sw "4" or type eq "tls"]', "01 02"),
        profile=AUTO,
    ),
]
"""Filters that are answered."""


@dataclass(frozen=True)
class Refused:
    """A filter that is refused with 400/invalidFilter, words its detail has, and the quirk that would accept."""

    rule: str
    type: str
    text: str
    fragment: str
    profile: Profile = AUTO
    quirk: Quirk | None = None

    def __str__(self) -> str:
        return f"{self.rule}: {self.text[:60]}"


def _refused(type: str, *rows: tuple[str, str, str]) -> list[Refused]:
    return [Refused(rule, type, text, fragment) for rule, text, fragment in rows]


def _unknown(*rows: tuple[str, str, str]) -> list[Refused]:
    return [replace(row, quirk=Quirk.UNKNOWN_IN_FILTER) for row in _refused("User", *rows)]


def _strictly(*rows: tuple[str, str, str, Quirk | None]) -> list[Refused]:
    return [Refused(rule, "User", text, fragment, RFC, quirk) for rule, text, fragment, quirk in rows]


REFUSED: list[Refused] = [
    *_refused(
        "User",
        ("P-3.4.2.2-04", "", "column 1: expected an attribute name"),
        ("P-3.4.2.2-04", "   ", "expected an attribute name"),
        ("P-3.4.2.2-05", "userName eq", "column 12: expected a value"),
        ("P-3.4.2.2-05", 'eq "x"', "column 4: expected an operator"),
        ("P-3.4.2.2-05", "userName", "expected an operator"),
        ("P-3.4.2.2-05", '"x" eq userName', "column 1: expected an attribute name"),
        ("P-3.4.2.2-07", 'userName regex "x"', "column 10: expected an operator: eq, ne"),
        ("P-3.4.2.2-07", 'userName eq "x" xor title pr', "column 17: expected 'and', 'or' or the end"),
        ("P-3.4.2.2-07", 'userName eq "x" and', "expected an attribute name"),
        ("P-3.4.2.2-07", "or title pr", "expected an operator"),
        ("P-3.4.2.2-07", "(title pr", "column 10: expected 'and', 'or' or ')'"),
        ("P-3.4.2.2-07", "title pr)", "column 9: expected 'and', 'or' or the end"),
        ("P-3.4.2.2-07", "()", "column 2: expected an attribute name"),
        ("P-3.4.2.2-07", "(title pr)and (name pr)", "a space on each side of 'and'"),
        ("P-3.4.2.2-07", "(title pr) or(name pr)", "a space on each side of 'or'"),
        ("P-3.4.2.2-07", 'userName eq "x', 'a quotation mark (") without its partner'),
        ("P-3.4.2.2-07", 'userName eq "x" title pr', "column 17: expected 'and', 'or' or the end"),
        ("P-3.4.2.2-07", r'userName eq "\q"', "JSON escapes only"),
        ("P-3.4.2.2-07", 'userName eq "a\tb"', "without its partner"),
        ("P-3.4.2.2-07", 'userName\teq "x"', "column 9: expected an operator"),
        ("P-3.4.2.2-07", 'emails [type eq "work"]', "no space before '['"),
        ("P-3.4.2.2-07", "title pr \u00a0", "expected 'and', 'or' or the end; found '\\xa0'"),
        ("P-3.4.2.2-07", "1title pr", "column 1: expected an attribute name"),
        ("P-3.4.2.2-07", "name.given.name pr", "column 1: expected an attribute name"),
        ("P-3.4.2.2-07", ".title pr", "expected an attribute name"),
        ("P-3.4.2.2-09", "not title pr", "column 5: expected '(' after 'not'"),
        ("P-3.4.2.2-11", 'emails[type[value eq "x"]]', "brackets have no brackets inside"),
        ("P-3.4.2.2-11", 'emails[emails.type eq "work"]', "column 8: expected the name of a sub-attribute"),
        ("P-3.4.2.2-11", f'emails[{_NS}:type eq "work"]', "expected the name of a sub-attribute"),
        ("P-3.4.2.2-11", "emails[]", "column 8: expected an attribute name"),
        ("P-3.4.2.2-11", 'emails[type eq "work"', "column 22: expected 'and', 'or' or ']'"),
        (
            "P-3.4.2.2-11",
            'emails[kind eq "work"]',
            "column 8: emails has no part kind; it has value, display",
        ),
        ("P-3.4.2.2-11", 'emails.type[value eq "x"]', "an attribute without sub-attribute before '['"),
        ("P-3.4.2.2-11", 'title[value eq "x"]', "title has no parts to select by; write title eq"),
        ("P-3.4.2.2-11", 'schemas[value eq "x"]', "schemas has no parts"),
        ("P-3.4.2.2-13", 'name eq "x"', "name is complex; name one of its parts: name.formatted"),
        ("P-3.4.2.2-13", 'name co "x"', "name is complex"),
        (
            "P-3.4.2.2-14",
            'addresses co "x"',
            "addresses is complex; name one of its parts: addresses.formatted",
        ),
        ("P-3.4.2.2-17", "active gt true", "active is boolean and has no gt; it has eq, ne, pr"),
        ("P-3.4.2.2-17", 'x509Certificates.value le "AQ=="', "is binary and has no le"),
        ("P-3.4.2.2-20", "userName eq 5", "userName: 5 is not of type string"),
        ("P-3.4.2.2-20", "userName eq true", "userName: true is not of type string"),
        ("P-3.4.2.2-20", 'active eq "maybe"', "active: 'maybe' is not of type boolean; send true or false"),
        ("P-3.4.2.2-20", "active eq 1", "active: 1 is not of type boolean"),
        ("P-3.4.2.2-20", 'meta.created gt "yesterday"', "send a date and time such as"),
        ("P-3.4.2.2-20", 'meta.created gt "2024-02-30T00:00:00Z"', "is not of type dateTime"),
        ("P-3.4.2.2-20", "meta.created gt 2024", "is not of type dateTime"),
        ("P-3.4.2.2-20", 'x509Certificates.value eq "!"', "send base64 text"),
        ("P-3.4.2.2-20", r'userName eq "\ud800"', "without lone surrogates"),
        ("P-3.4.2.2-20", "title co 5", "co looks for text"),
        ("P-3.4.2.2-21", "title co null", "title co null compares with nothing; eq and ne take null"),
        ("P-3.4.2.2-21", "title gt null", "compares with nothing"),
        ("P-3.4.2.2-29", 'password eq "x"', "password is never returned"),
        ("P-3.4.2.2-29", "password pr", "password is never returned"),
        ("P-3.4.2.2-29", "password eq null", "password is never returned"),
        ("A-11", "userName eq O'Brien", "expected a value"),
        ("A-11", "userName eq \u201ccem\u201d", "expected a value"),
        ("A-11", "userName eq 'a'b'", "expected a value"),
        ("A-11", "userName eq a,b", "expected a value"),
        ("A-11", "userName eq Ann Smith", "column 17: expected 'and', 'or' or the end"),
        ("A-11", "active eq 1e999", "a number of a size that 64 bits hold"),
        ("A-57", "active eq " + "9" * 5000, "a number of a size that 64 bits hold"),
        ("A-57", "(" * 9000, "at most 32 groups inside each other"),
        ("A-57", "(" * 33 + "title pr" + ")" * 33, "column 33: expected at most 32 groups"),
        ("A-57", "not (" * 33 + "title pr" + ")" * 33, "at most 32 groups"),
        ("A-57", " or ".join(["title pr"] * 201), "at most 200 tests"),
        ("A-57", "emails[" + " or ".join(["type pr"] * 201) + "]", "at most 200 tests"),
        ("A-57", "(" * 100_000, "at most 10000 are read"),
        ("A-92", 'emails[type eq "work"].value', "expected an operator"),
        ("A-92", 'emails[type eq "work"]. eq "x"', "expected '.' and the name of a sub-attribute"),
        ("A-92", 'emails[type eq "work"] .value eq "x"', "expected 'and', 'or' or the end"),
        ("A-92", 'emails[type eq "work"].kind eq "x"', "emails has no part kind"),
    ),
    *_refused(
        "Device",
        ("P-3.4.2.2-20", "slots eq 10.0", "send a whole number"),
        ("P-3.4.2.2-20", "slots eq 9223372036854775808", "at most 64 bits"),
        ("P-3.4.2.2-20", "weight eq 1" + "0" * 400, "a JSON number that fits 64 bits"),
        ("P-3.4.2.2-20", 'slots eq "9"', "slots: '9' is not of type integer"),
        ("P-3.4.2.2-29", 'pin sw "1"', "pin is never returned"),
        ("P-3.4.2.2-29", 'keys.secret sw "x"', "keys.secret is never returned"),
        ("P-3.4.2.2-29", 'keys[secret sw "x"]', "keys.secret is never returned"),
    ),
    *_unknown(
        ("P-3.4.2.1-06", 'foo eq "1"', "User has no attribute foo"),
        ("P-3.4.2.1-06", 'usrName eq "1"', "column 1: User has no attribute usrName; did you mean userName?"),
        ("P-3.4.2.1-06", 'title pr and nam.givenName eq "x"', "column 14"),
        ("P-3.4.2.1-06", 'name.givenNames eq "x"', "did you mean name.givenName?"),
        ("P-3.4.2.1-06", f'{ENTERPRISE}:departement eq "x"', f"did you mean {ENTERPRISE}:department?"),
        ("P-3.4.2.1-06", 'departement eq "x"', f"did you mean {ENTERPRISE}:department?"),
        ("P-3.4.2.1-06", 'passwort eq "x"', "see its schemas under /Schemas"),
        ("P-3.4.2.2-28", 'urn:x:y:title eq "x"', f"its schemas are {_NS}, {ENTERPRISE}, {BADGE}"),
        ("P-3.4.2.2-28", f"{ENTERPRISE} pr", "User has no attribute"),
        ("A-03", 'division eq "x"', "User has no attribute division"),
    ),
    *_strictly(
        ("P-3.4.2.2-18", "userName eq bjensen", "column 13: expected a value", Quirk.BARE_WORDS),
        ("P-3.4.2.2-19", "userName eq 'x'", "expected a value", Quirk.BARE_WORDS),
        ("P-3.4.2.2-19", "active eq True", "expected a value", Quirk.BARE_WORDS),
        ("A-12", 'active eq "true"', "active is boolean", Quirk.STRING_BOOLEANS),
        ("A-92", 'emails[type eq "work"].value eq "x"', "inside the brackets", Quirk.FILTER_SELECTION_SUB),
        ("A-79", f'{ENTERPRISE}:manager eq "x"', "manager.value", Quirk.FILTER_ON_MANAGER),
        ("A-03", 'department eq "x"', f"write {ENTERPRISE}:department", Quirk.UNQUALIFIED_EXTENSION),
        ("A-15", 'active co "t"', "active is boolean and has no co", Quirk.SUBSTRING_OF_ANY_TYPE),
        ("A-15", 'meta.created sw "2024"', "is dateTime and has no sw", Quirk.SUBSTRING_OF_ANY_TYPE),
        ("A-03", 'division eq "x"', "User has no attribute division", Quirk.UNKNOWN_IN_FILTER),
    ),
]
"""Filters that are refused."""
