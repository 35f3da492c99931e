"""Compare syncmaster_tsquery() with the query that SyncMaster's server sends.

Runs in a virtual environment with data-syncmaster[server], against a database
that has the extension:

    python test/compare_tsquery.py --dsn 'host=/tmp dbname=x' --seed 1 KIND ...

KIND is one or more of

    random      random inputs, --inputs of them
    codepoints  code points of Unicode between two letters, all or by --share
    large       inputs of 1 MB
    bytes       random bytes as a text of a SQL_ASCII database
    damaged     random bytes as a text of a UTF8 database; needs a superuser

For every input both sides run as a statement of their own, and the result, the
notices or else the error must be the same.  Prints one line for each kind,
after the first differences if there are any, and exits with 1 then.
"""

import argparse
import random
import string
import sys

import psycopg2
from sqlalchemy import Text, cast, create_engine, func, select
from sqlalchemy.exc import DBAPIError
from syncmaster.db.repositories.search import build_tsquery, make_tsquery

MEGABYTE = 1024 * 1024

SPACES = [chr(c) for c in range(1, 0x110000) if chr(c).isspace()]
CYRILLIC = "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"

# Things that the two ways of splitting words, the parser of tsquery, the
# parser of words or a dictionary treat specially.
FRAGMENTS = [
    "some-domain.name", "/some/file/path.txt", "./", "../..", "-", "--", "_",
    "snake_case_name", "kebab-case-name", "hdfs://host:9000/a/b", "a.b.c",
    "https://example.com/a?b=c&d=e#f", "user@example.com", "127.0.0.1",
    "2001:db8::1", "1.5", "-1.5e-10", "+7", "1e5", "0x1F", "1.2.3", "v1.0-rc1",
    "&amp;", "&#1040;", "<b>", "</b>", "<!-- -->", "<->", "<2>", ":*", ":A",
    ":*ABCD", "&", "|", "!", "!!", "(", ")", "()", "'", "''", '"', "\\", "\\'",
    "\\\\", "$$", "$1", "%s", "%(x)s", ":name", "`", "~", "^", "{}", "[]", "#",
    "the", "and", "is", "running", "tables", "и", "в", "не", "она", "таблицы",
    "Таблицами", "перенос", "ПЕРЕНОСЫ", "ёлка", "Ёлки", "подключение-к-базе",
    "схема.таблица", "схема_таблица", "ı", "İ", "ß", "ẞ", "ﬁ", "Å", "Å", "Å",
    "é", "é", "й", "й", "日本語", "中文字符", "한국어", "عربي", "עברית", "हिन्दी",
    "ไทย", "👍", "👨‍👩‍👧", "🇷🇺", "①", "½", "٣", "Ⅷ", "「」", "。", "！", "＿",
    "／", "．", "－", "‐", "–", "—", "…", "«ёлочки»", "„“", "№", "€", "·",
]  # fmt: skip

INVISIBLE = [
    chr(c)
    for c in (0xAD, 0x34F, 0x61C, 0x180E, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F,
              0x2028, 0x2060, 0x2063, 0x3164, 0xFE0F, 0xFEFF, 0xFFFC, 0xFFFD)
]  # fmt: skip


class Inputs:
    """Random inputs, the same for the same seed."""

    def __init__(self, seed, codec):
        self.random = random.Random(seed)
        self.codec = codec

    def char(self, low, high):
        while True:
            code = self.random.randint(low, high)
            if not 0xD800 <= code <= 0xDFFF:
                return chr(code)

    def word(self, letters, longest=12):
        return "".join(self.random.choices(letters, k=self.random.randint(1, longest)))

    def fragment(self):
        choose = self.random.choice
        return choose([
            lambda: self.word(string.ascii_letters + string.digits),
            lambda: self.word(CYRILLIC + CYRILLIC.upper()),
            lambda: self.word(string.punctuation, 4),
            lambda: self.word("/._-", 3),
            lambda: self.word("'\\\":*&|!()<>", 4),
            lambda: self.word(string.ascii_lowercase + "/._-", 20),
            lambda: self.word(CYRILLIC + "/._- ", 20),
            lambda: choose(FRAGMENTS),
            lambda: choose(FRAGMENTS),
            lambda: choose(SPACES),
            lambda: " ",
            lambda: choose(INVISIBLE),
            lambda: self.char(1, 0x1F),
            lambda: self.char(0x7F, 0xBF),
            lambda: "a" + self.char(0x300, 0x36F),
            lambda: self.char(0x2000, 0x206F),
            lambda: self.char(0x3000, 0x30FF),
            lambda: self.char(0x4E00, 0x9FFF),
            lambda: self.char(0x1F300, 0x1FAFF),
            lambda: self.char(1, 0x10FFFF),
            lambda: choose("xж日") * self.random.choice([50, 682, 683, 1023, 1024, 2046, 2047, 2048])
            if self.random.random() < 0.02 else " ",
        ])()  # fmt: skip

    def fit(self, text):
        """What of the text a database of this encoding can store."""
        return text.encode(self.codec, "ignore").decode(self.codec)

    def random_text(self):
        length = min(int(self.random.expovariate(1 / 8)), 60)
        separators = ["", "", " ", self.random.choice(SPACES)]
        return self.fit("".join(self.fragment() + self.random.choice(separators) for _ in range(length)))

    def large_texts(self):
        """Inputs of 1 MB.

        to_tsquery takes a time that is quadratic in the number of words, many minutes for a megabyte of short
        ones: there are either few, or they are so long that it refuses them, quoting the string it was given.
        """
        full = MEGABYTE
        yield "a" * full
        yield "ж" * (full // 2)
        yield "日" * (full // 3)
        yield "👍" * (full // 4)
        yield "'" * full
        yield "\\" * full
        yield "." * full
        yield " " * full
        yield "\u3000" * (full // 3)
        yield " " * (full - 1) + "a"
        yield "a" + "-" * (full - 1)
        yield "data" + "\u2003" * (full // 3) + "таблицы"
        yield ("a" * 2047 + " ") * (full // 2048)
        yield ("a" * 2046 + " ") * (full // 2047)
        yield ("ж" * 1023 + "-") * (full // 2047)
        yield "таблица " * (full // 15)
        yield ("a.b" + " " * 300) * (full // 303)
        yield ("/ab" + " '" * 150) * (full // 303)
        for words in (30, 100, 300, 1000, 3000):
            padding = self.random.choice([" ", "\u2003", "'", "\\", "\n"])
            padding *= full // words // len(padding.encode())
            yield self.fit(padding.join(self.random_text() for _ in range(words + 1)))

    def random_bytes(self, zero):
        """Bytes that are seldom UTF-8, but look like it."""
        parts = []
        for _ in range(self.random.randint(0, 20)):
            part = self.random.choice([*SPACES, *INVISIBLE, *FRAGMENTS]).encode()
            cut = self.random.randint(0, len(part))
            parts.append(self.random.choice([
                part, part[:cut], part[cut:],
                bytes([self.random.choice([0xC2, 0xE1, 0xE2, 0xE3, 0xF0, 0x80, 0x9A, 0xA0, 0x85, 0xFF])]),
                bytes([self.random.randint(0, 255)]),
                b"a", b" ", b"/", b".",
            ]))  # fmt: skip
        data = b"".join(parts)
        return data if zero else data.replace(b"\0", b"")


class Notices:
    """Collects notices.  SQLAlchemy empties a list, but leaves alone what it cannot iterate over."""

    def __init__(self):
        self.messages = []

    def append(self, message):
        self.messages.append(message)


class Comparison:
    def __init__(self, dsn):
        self.engine = create_engine(
            "postgresql+psycopg2://",
            creator=lambda: psycopg2.connect(dsn),
            isolation_level="AUTOCOMMIT",
        )
        self.connection = self.engine.connect()
        self.driver = self.connection.connection.driver_connection
        self.driver.set_client_encoding("UTF8")
        self.failures = 0

    def outcome(self, statement, params=None):
        """What a statement gives: its value and notices, or its error."""
        notices = self.driver.notices = Notices()
        try:
            if params is None:
                value = self.connection.execute(statement).scalar_one()
            else:
                value = self.connection.exec_driver_sql(statement, params).scalar_one()
        except DBAPIError as error:
            diag = error.orig.diag
            return "error", diag.sqlstate, diag.message_primary, diag.message_detail, diag.message_hint
        return "value", value, notices.messages

    def same(self, given, expected, actual):
        if expected == actual:
            return
        self.failures += 1
        if self.failures <= 5:
            for name, what in (("input", given), ("expected", expected), ("actual", actual)):
                print(f"{name}: {what!r:.2000}")

    def text(self, given):
        expected = self.outcome(select(cast(make_tsquery(given), Text)))
        actual = self.outcome(select(cast(func.syncmaster_tsquery(given), Text)))
        self.same(given, expected, actual)
        return expected

    def stored_bytes(self, given):
        """In SQL_ASCII, Python's escape for bytes that are not UTF-8 keeps them as they are."""
        query = build_tsquery(given.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        decode = "convert_from(decode(%s, 'hex'), 'SQL_ASCII')"
        expected = self.outcome(
            f"SELECT encode((to_tsquery('simple', {decode}) || plainto_tsquery('russian', {decode}))::text::bytea, 'escape')",
            (query.hex(), given.hex()),
        )
        actual = self.outcome(
            f"SELECT encode(syncmaster_tsquery({decode})::text::bytea, 'escape')", (given.hex(),)
        )
        self.same(given, expected, actual)
        return expected

    def damaged_bytes(self, given):
        """What is no UTF-8 must be refused as it would be when it came from a client."""
        expected = self.outcome(
            "SELECT syncmaster_tsquery(convert_from(decode(%s, 'hex'), 'UTF8'))::text", (given.hex(),)
        )
        actual = self.outcome("SELECT syncmaster_tsquery(decode(%s, 'hex')::text)::text", (given.hex(),))
        self.same(given, expected, actual)
        return expected

    def run(self, kind, compare, inputs):
        self.failures = 0
        count = errors = notices = empty = 0
        for given in inputs:
            outcome = compare(given)
            count += 1
            if outcome[0] == "error":
                errors += 1
            else:
                empty += outcome[1] == ""
                notices += bool(outcome[2])
        print(
            f"{kind}: {count} inputs, {self.failures} differ "
            f"(errors {errors}, empty queries {empty}, with notices {notices})"
        )
        return self.failures == 0 and count > 0


def codepoints(fit, share, seed, step=128):
    """Code points between two letters, many to an input; one input of so many."""
    for start in range(1 + step * (seed % share), 0x110000, step * share):
        codes = [c for c in range(start, min(start + step, 0x110000)) if not 0xD800 <= c <= 0xDFFF]
        if codes:
            yield fit(" ".join(f"a{chr(c)}b" for c in codes))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dsn", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--share", type=int, default=1, help="of so many inputs with code points, try one")
    parser.add_argument("--codec", default="utf-8", help="Python's name for the database's encoding")
    parser.add_argument("kinds", nargs="+", choices=["random", "codepoints", "large", "bytes", "damaged"])
    args = parser.parse_args()

    inputs = Inputs(args.seed, args.codec)
    comparison = Comparison(args.dsn)
    if "damaged" in args.kinds:
        comparison.connection.exec_driver_sql("CREATE CAST (bytea AS text) WITHOUT FUNCTION")
    kinds = {
        "random": (comparison.text, lambda: (inputs.random_text() for _ in range(args.inputs))),
        "codepoints": (comparison.text, lambda: codepoints(inputs.fit, args.share, args.seed)),
        "large": (comparison.text, inputs.large_texts),
        "bytes": (comparison.stored_bytes, lambda: (inputs.random_bytes(False) for _ in range(args.inputs))),
        "damaged": (comparison.damaged_bytes, lambda: (inputs.random_bytes(True) for _ in range(args.inputs))),
    }
    passed = [comparison.run(kind, kinds[kind][0], kinds[kind][1]()) for kind in args.kinds]
    sys.exit(0 if all(passed) else 1)


if __name__ == "__main__":
    main()
