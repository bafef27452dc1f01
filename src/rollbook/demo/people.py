"""Writes the made-up HR exports `data/day1.csv` to `day4.csv`: `python -m rollbook.demo.people`.

The exports are kept in the repository, because people should read them; this module says where they come
from, and a test holds the two together. Nothing is random: the same run always writes the same people.
"""

import csv
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path

Row = dict[str, str]

COLUMNS = (
    "employee_id", "first_name", "last_name", "email", "department", "title", "manager_id", "start_date",
    "end_date", "birth_date", "phone", "cost_center", "country", "ping_pong",
)  # fmt: skip

DAYS = (1, 2, 3, 4)
FIRST_ID = 10001
DOMAIN = "kestrel.example"

# department, cost center, people, title of most, title of the one who leads it
DEPARTMENTS = (
    ("Engineering", "CC-4100", 80, "Software Engineer", "Head of Engineering"),
    ("Sales", "CC-5100", 50, "Account Executive", "Head of Sales"),
    ("Support", "CC-5200", 45, "Support Agent", "Head of Support"),
    ("Operations", "CC-6100", 25, "Operations Specialist", "Head of Operations"),
    ("Finance", "CC-7100", 20, "Accountant", "Head of Finance"),
    ("People", "CC-7200", 15, "People Partner", "Head of People"),
    ("Product", "CC-4200", 14, "Product Manager", "Head of Product"),
    ("Board", "CC-9100", 1, "Managing Director", "Managing Director"),
)

LEADING = {leading for *_, leading in DEPARTMENTS}
FIXED_TERM = "2099-12-31"

FIRST_NAMES = (
    "Jürgen", "Anna", "Marek", "Zoë", "Søren", "Chloé", "Łukasz", "Ingrid", "Björn", "Aoife", "Mateo", "Šárka",
    "Piet", "Fatima", "Günther", "Renée", "Ola", "Nuño", "Katarzyna", "Émile", "Dorothea", "Ragnar", "Siobhán",
    "Ivo", "Amélie", "Henrik", "Lucía", "Tove", "Miloš", "Greta", "João", "Petra", "Åsa", "Noor", "Felix",
    "Beatriz", "Jörg", "Hanna", "Tadeusz", "Freya", "Cosmin", "Maëlle", "Otto",
)  # fmt: skip

LAST_NAMES = (
    "Müller", "Nowak", "Jensen", "García", "O'Brien", "Świątek", "Lindqvist", "Dubois", "van der Berg", "Ødegård",
    "Weiß", "Novotná", "Silva", "Köhler", "Andersson", "Lefèvre", "Kowalczyk", "Petrov", "Schäfer", "Nguyen",
    "Björk", "Muñoz", "De Smet", "Hübner", "Çelik", "Zieliński", "Rasmussen", "Fontaine", "Groß", "Peña",
    "Mac Giolla", "Horváth", "Yıldız", "Bianchi", "Strauß", "Łuczak", "Eriksen", "Moreau", "Krüger", "Santos",
    "Vogel", "Quispe", "Ibrahim", "Löfgren", "Tanaka", "Brandt", "D'Angelo",
)  # fmt: skip

COUNTRIES = ("DE", "DE", "PL", "FR", "DK", "ES", "NL", "SE")

LETTERS = {"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "ß": "ss", "ı": "i"}
"""What Unicode does not take apart into a letter and a mark."""

# The people of the story, and some whose names are no Latin text. Keys are employee numbers.
CAST: Mapping[str, Row] = {
    "10004": {"first_name": "Юлия", "last_name": "Орлова", "email": f"julia.orlova@{DOMAIN}"},
    "10009": {"first_name": "Aylin", "last_name": "Kaya", "ping_pong": "yes"},
    "10012": {"first_name": "Tomáš", "last_name": "Dvořák", "ping_pong": "yes"},
    "10015": {"first_name": "娜", "last_name": "李", "email": f"na.li@{DOMAIN}"},
    "10023": {"first_name": "Nadia", "last_name": "Haddad", "ping_pong": "no"},
    "10031": {"first_name": "健", "last_name": "佐藤", "email": f"ken.sato@{DOMAIN}", "ping_pong": "yes"},
    "10035": {"first_name": "Rosa", "last_name": "Okafor", "ping_pong": "no"},
    "10090": {"first_name": "Anna", "last_name": "Schmidt", "ping_pong": "yes"},
    "10101": {
        "first_name": "Γιώργος",
        "last_name": "Παπαδόπουλος",
        "email": f"giorgos.papadopoulos@{DOMAIN}",
    },
    "10107": {"first_name": "Victor", "last_name": "Lindgren", "ping_pong": "no"},
    "10119": {"first_name": "Liam", "last_name": "Byrne", "end_date": "2021-12-31", "ping_pong": "yes"},
    "10140": {"first_name": "Anna", "last_name": "Schmidt", "email": f"anna.schmidt2@{DOMAIN}"},
    "10148": {"first_name": "민준", "last_name": "김", "email": f"minjun.kim@{DOMAIN}", "ping_pong": "yes"},
    "10155": {"first_name": "Sofie", "last_name": "Claes", "ping_pong": "no"},
    "10166": {"first_name": "אורית", "last_name": "לוי", "email": f"orit.levi@{DOMAIN}"},
    "10183": {"first_name": "Walter", "last_name": "Pohl", "end_date": "2022-06-30"},
    "10190": {"first_name": "Ines", "last_name": "Caldeira", "end_date": FIXED_TERM},
    "10208": {"first_name": "علي", "last_name": "حسن", "email": f"ali.hassan@{DOMAIN}"},
    "10212": {"first_name": "Bruno", "last_name": "Keller", "ping_pong": "yes"},
}

HEADS = {"Engineering": 47, "Sales": 20, "Support": 33, "Operations": 4, "Finance": 19, "People": 2}
"""How far into the department the one who leads it is listed: most people come before their manager."""

# What HR changes before each day's export: employee number → new values. A number not seen before is a hire.
CHANGES: Mapping[int, Mapping[str, Row]] = {
    2: {
        "10251": {
            "first_name": "Mina",
            "last_name": "Özdemir",
            "department": "Engineering",
            "ping_pong": "yes",
        },
        "10252": {"first_name": "Paul", "last_name": "Achterberg", "department": "Engineering"},
        "10253": {"first_name": "Ximena", "last_name": "Ríos", "department": "Sales", "ping_pong": "yes"},
        "10254": {"first_name": "Torben", "last_name": "Ahlers", "department": "Support"},
        "10255": {"first_name": "Ewa", "last_name": "Wójcik", "department": "Finance"},
        "10009": {"last_name": "Brandt", "email": f"aylin.brandt@{DOMAIN}"},
        "10023": {"department": "Product", "cost_center": "CC-4200", "title": "Product Manager"},
        "10140": {"department": "Engineering", "cost_center": "CC-4100", "title": "Support Engineer"},
        "10107": {"department": "Finance", "cost_center": "CC-7100", "title": "Controller"},
        "10155": {"title": "Support Team Lead"},
        "10035": {"ping_pong": "yes"},
    },
    3: {
        "10012": {"end_date": "2023-03-31"},
        "10090": {"end_date": "2023-03-31"},
        "10148": {"end_date": "2023-03-31"},
        "10212": {"end_date": "2023-03-31"},
        "10048": {"end_date": "2023-03-31"},
        "10020": {"title": "Head of Engineering"},
        "10031": {"ping_pong": "no"},
    },
    4: {
        "10012": {"end_date": "", "start_date": "2023-06-01", "title": "Senior Software Engineer"},
        "10119": {"end_date": "", "start_date": "2023-06-01"},
        "10023": {"department": "Engineering", "cost_center": "CC-4100", "title": "Software Engineer"},
        "10031": {"ping_pong": "yes"},
    },
}

VANISHED = {3: {"10208"}, 4: {"10208"}}
"""Rows that are simply no longer in the export of that day."""

WITHOUT_KEY = {2: {"first_name": "Casey", "last_name": "Doe", "department": "Sales", "title": "Contractor"}}
"""A row somebody typed in without an employee number: it is to be reported and skipped."""


def exports() -> Iterator[tuple[int, list[Row]]]:
    """Each day's number and rows, in the order of the file."""
    staff = {row["employee_id"]: row for row in first_staff()}
    for day in DAYS:
        for key, values in CHANGES.get(day, {}).items():
            staff[key] = staff[key] | values if key in staff else hire(int(key) - FIRST_ID, values)
        set_managers(staff)
        rows = [row for key, row in staff.items() if key not in VANISHED.get(day, ())]
        stray = WITHOUT_KEY.get(day)
        yield day, [*rows, dict.fromkeys(COLUMNS, "") | stray] if stray else rows


def first_staff() -> Iterator[Row]:
    """The rows of the first day, without managers."""
    number = 0
    for department, cost_center, size, title, head_title in DEPARTMENTS:
        for place in range(size):
            leads = place == HEADS.get(department, 0)
            row = person(number) | {
                "department": department,
                "cost_center": cost_center,
                "title": head_title if leads else title,
            }
            yield with_email(row | CAST.get(row["employee_id"], {}))
            number += 1


def person(number: int) -> Row:
    """Somebody: the employee number decides everything."""
    born = date(1961, 2, 11) + timedelta(days=number * 5519 % 10600)
    start = date(2010, 1, 4) + timedelta(days=number * 397 % 4200)
    return dict.fromkeys(COLUMNS, "") | {
        "employee_id": str(FIRST_ID + number),
        "first_name": FIRST_NAMES[number * 7 % len(FIRST_NAMES)],
        "last_name": LAST_NAMES[number * 11 % len(LAST_NAMES)],
        "start_date": start.isoformat(),
        "birth_date": born.isoformat(),
        "phone": f"+49 30 5550{number:03d}",
        "country": COUNTRIES[number % len(COUNTRIES)],
        "ping_pong": "yes" if number % 9 == 3 else "no",
    }


def hire(number: int, values: Row) -> Row:
    """Somebody new, starting on the second day of the story."""
    office = {name: (cost_center, title) for name, cost_center, _, title, _ in DEPARTMENTS}
    cost_center, title = office[values["department"]]
    row = person(number) | {"cost_center": cost_center, "title": title, "start_date": "2023-02-01"}
    return with_email(row | values)


def with_email(row: Row) -> Row:
    """The row with an address made of the name, unless it has one."""
    name = f"{latin(row['first_name'])}.{latin(row['last_name'])}".lower()
    plain = "".join(letter for letter in name if letter.isalnum() or letter in ".-")
    return row | {"email": row["email"] or f"{plain}@{DOMAIN}"}


def latin(text: str) -> str:
    """The text without accents."""
    apart = unicodedata.normalize("NFD", "".join(LETTERS.get(letter, letter) for letter in text))
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def set_managers(staff: dict[str, Row]) -> None:
    """Everybody reports to who leads the department, who leads reports to the board; leavers stay as they are."""
    working = [row for row in staff.values() if row["end_date"] in {"", FIXED_TERM} or not row["manager_id"]]
    leaders = {row["department"]: row["employee_id"] for row in working if row["title"] in LEADING}
    for row in working:
        own = row["employee_id"]
        manager = leaders[row["department"]]
        row["manager_id"] = manager if manager != own else leaders["Board"] if own != leaders["Board"] else ""


def write(directory: Path) -> None:
    """Write the four files."""
    for day, rows in exports():
        with (directory / f"day{day}.csv").open("w", encoding="utf-8", newline="") as file:
            lines = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            lines.writeheader()
            lines.writerows(rows)


if __name__ == "__main__":
    write(Path(__file__).with_name("data"))
