"""The Python side of 440_credentials_python.pl: one line "ok - …" per test."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import random
import struct
from types import SimpleNamespace

import asyncpg
from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from syncmaster.db.repositories.utils import decrypt_auth_data, encrypt_auth_data

KEYS = os.environ["SYNCMASTER_TEST_KEYS"].split()
FERNETS = [Fernet(key) for key in KEYS]
SETTINGS = SimpleNamespace(encryption=SimpleNamespace(secret_key=KEYS[0]))

PAYLOADS = [
    {},
    {"type": "basic", "user": "someone", "password": "pass word"},
    {"пользователь": "Иван", "пароль": "ключ 🔑", "z": "日本語"},
    {"nested": {"a": {"b": {"c": [1, 2, {"d": None}, [], {}]}}}},
    {"zero": 0, "negative": -5, "large": 10**40, "small": -(10**40)},
    {"f": [0.1, 1.5, -2.25, 1e-5, 1e-7, 1.5e-300, 123456.789, 3.141592653589793]},
    {"edges": [0.0001, 0.00012345, 1e-10, 5e-324, 2.2250738585072014e-308]},
    {"powers of two": [2.0**exponent for exponent in range(-1074, 54)]},
    {"true": True, "false": False, "none": None},
    {"escapes": '"\\/\b\f\n\r\t\u0001\u001f\u007f\u2028\ufeff'},
    {"": "empty key", " ": "blank key", "B": 1, "a": 2, "aa": 3, "Z": 4, "é": 5},
    {"\U0001f600": 1, "\uffff": 2, "z": 3, "\u00ff": 4},
    {"long": "x" * (1 << 20)},
    {"deep": json.loads("[" * 200 + "]" * 200)},
    {str(number): number for number in range(1000)},
    [], [1, "two"], "text", 1, 1.5, True, None,
]


def dumps(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def ok(condition, name):
    print(f"{'ok' if condition else 'not ok'} - {name}", flush=True)


def random_float(source):
    while True:
        kind = source.randrange(4)
        if kind == 0:
            number = struct.unpack("<d", source.randbytes(8))[0]
        elif kind == 1:
            number = round(source.uniform(-1000, 1000), source.randrange(8))
        elif kind == 2:
            number = source.randrange(1, 10**17) / 10 ** source.randrange(1, 30)
        else:
            number = float(source.randrange(-(10**15), 10**15))
        # jsonb has no infinity, and large numbers without a point are integers
        if number == number and abs(number) < 1e16:
            return number


def random_text(source):
    return "".join(
        chr(source.choice([source.randrange(1, 128), source.randrange(160, 0x800),
                           source.randrange(0x10000, 0x10FFFF)]))
        for _ in range(source.randrange(12))
    )


def random_value(source, depth=0):
    kind = source.randrange(8 if depth < 4 else 6)
    if kind == 0:
        return source.choice([None, True, False])
    if kind == 1:
        return source.randrange(-(10**30), 10**30)
    if kind == 2:
        return random_float(source)
    if kind <= 5:
        return random_text(source)
    if kind == 6:
        return [random_value(source, depth + 1) for _ in range(source.randrange(5))]
    return {
        random_text(source): random_value(source, depth + 1)
        for _ in range(source.randrange(6))
    }


async def outcome(connection, token):
    """The decrypted value as our side sees it, or None if it is refused."""
    try:
        return (await connection.fetchval("SELECT syncmaster_decrypt($1)", token),)
    except asyncpg.DataError as error:
        if error.sqlstate not in ("22000", "22P02"):
            raise
        return None


async def test_payloads(connection):
    for number, payload in enumerate(PAYLOADS):
        text = dumps(payload)
        name = f"payload {number}, {text[:40]!a}"
        token = await connection.fetchval("SELECT syncmaster_encrypt($1::jsonb)", text)
        ok(FERNETS[0].decrypt(token).decode() == text, f"{name}: the same bytes")
        ok(decrypt_auth_data(token, SETTINGS) == payload, f"{name}: SyncMaster reads it")
        token = encrypt_auth_data(payload, SETTINGS)
        ok(
            await connection.fetchval(
                "SELECT syncmaster_decrypt($1) = $2::jsonb", token, text
            ),
            f"{name}: SyncMaster's token",
        )

    source = random.Random(4)
    wrong = 0
    for _ in range(1500):
        text = dumps(random_value(source))
        token = await connection.fetchval("SELECT syncmaster_encrypt($1::jsonb)", text)
        if FERNETS[0].decrypt(token).decode() != text:
            wrong += 1
            print("# wanted", ascii(text), "got", FERNETS[0].decrypt(token))
    ok(wrong == 0, "1500 random payloads: the same bytes")

    numbers = [random_float(source) for _ in range(20000)]
    token = await connection.fetchval(
        "SELECT syncmaster_encrypt($1::jsonb)", dumps(numbers)
    )
    got = FERNETS[0].decrypt(token).decode()
    for ours, theirs in zip(got[1:-1].split(", "), map(repr, numbers)):
        if ours != theirs:
            print("# wanted", theirs, "got", ours)
    ok(got == dumps(numbers),
       "20000 random floating-point numbers: the same bytes")


async def test_base64(connection):
    """Both decoders agree on mangled text."""
    source = random.Random(5)
    alphabet = "ABCXYZabcxyz0189-_+/=== \n\t%!*.~"
    wrong = 0
    for _ in range(6000):
        token = FERNETS[0].encrypt(b"{}" * source.randrange(12)).decode()
        for _ in range(source.randrange(4)):
            place = source.randrange(len(token) + 1)
            cut = place + source.choice([0, 0, 0, 1, 1, 2, 4])
            insert = "".join(
                source.choice(alphabet) for _ in range(source.choice([0, 1, 1, 2, 4]))
            )
            # favour what is skipped, so that much of it still is a token
            if source.random() < 0.5:
                insert = source.choice(["=", " ", "\n", "%", "~", "é", "=="])
                cut = place
            token = token[:place] + insert + token[cut:]
        try:
            expected = FERNETS[0].decrypt(token)
        except Exception:
            expected = None
        if expected is not None:
            # "{}{}" is no JSON: refused for that, but only then decrypted
            try:
                json.loads(expected)
            except ValueError:
                continue
        if (await outcome(connection, token) is None) != (expected is None):
            wrong += 1
            print("# Python says", expected, "of", ascii(token))
    ok(wrong == 0, "6000 mangled tokens: the same answer")

    accepted = 0
    for padding in ["", "=", "==", "===", " ", "\n", "=x", "A", "é"]:
        token = FERNETS[0].encrypt(b"1").decode().rstrip("=") + padding
        try:
            expected = FERNETS[0].decrypt(token) == b"1"
        except Exception:
            expected = False
        accepted += expected
        ok((await outcome(connection, token) is not None) == expected,
           f"padding {padding!a}: {'accepted' if expected else 'refused'} by both")
    ok(accepted > 0, "some of them were accepted")


def forge(body):
    """A token whose signature is right, whatever it signs."""
    signing_key = base64.urlsafe_b64decode(KEYS[0])[:16]
    signature = hmac.new(signing_key, body, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(body + signature).decode()


def encrypt_blocks(blocks):
    """Whole blocks, with whatever stands for padding in them."""
    key = base64.urlsafe_b64decode(KEYS[0])[16:]
    encryptor = Cipher(algorithms.AES(key), modes.CBC(b"v" * 16)).encryptor()
    return encryptor.update(blocks) + encryptor.finalize()


def forged_bodies():
    """Unsigned parts of tokens, by name."""
    head = b"\x80" + bytes(8) + b"v" * 16
    good = encrypt_blocks(b'{"n": 1, "x": 2}' + b"\x10" * 16)
    for last in range(256):
        yield f"padding {last}", head + encrypt_blocks(b'"a"' + bytes([last]) * 13)
        yield f"padding {last} after others", head + encrypt_blocks(
            b"7 ".ljust(15) + bytes([last]))
        yield f"padding {last} after a block", head + encrypt_blocks(
            b"1 ".ljust(16) + b"\x10" * 15 + bytes([last]))
        yield f"version {last}", bytes([last]) + head[1:] + good
    for length in range(70):
        yield f"{length} bytes of ciphertext", head + (good * 3)[:length]
    for length in range(25):
        yield f"{length} bytes in all", head[:length]
    for timestamp in (0, 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1):
        yield f"timestamp {timestamp}", (
            b"\x80" + struct.pack(">Q", timestamp) + b"v" * 16 + good)
    for payload in (b"", b"\xff", b"\x00", b"no JSON", b"\xed\xa0\x80"):
        size = 16 - len(payload)
        yield f"payload {payload}", head + encrypt_blocks(payload + bytes([size]) * size)


def mutate(source, token):
    """Damage a token in one of the ways in which tokens get damaged."""
    kind = source.randrange(8)
    place = source.randrange(len(token))
    if kind == 0:
        return token[:place] + chr(source.randrange(1, 256)) + token[place + 1 :]
    if kind == 1:
        return token[:place] + source.choice(" \n\r\t=-_+/.%é\u2028") + token[place:]
    if kind == 2:
        return token[:place] + token[place + source.randrange(1, 5) :]
    if kind == 3:
        return token[:place]
    if kind == 4:
        return token.rstrip("=") + source.choice(["", "=", "==", "===", "A", "A=", "\n"])
    if kind == 5:
        return token.replace("-", "+").replace("_", "/")
    if kind == 6:
        # the bits that padding leaves over
        stem = token.rstrip("=")
        return stem[:-1] + source.choice("ABCDEFghijklmnop0123-_") + token[len(stem) :]
    # one bit of a character
    return token[:place] + chr(ord(token[place]) ^ (1 << source.randrange(5))) + token[place + 1 :]


def expected_outcome(fernet, token):
    """What syncmaster_decrypt() has to say: "ok" and the value, or why not."""
    try:
        plaintext = fernet.decrypt(token)
    except Exception:
        return "refused", None
    try:
        return "ok", json.loads(plaintext.decode("utf-8"))
    except ValueError:
        return "no JSON", None


async def outcomes(connection, tokens):
    rows = await connection.fetch(
        "SELECT (outcome(token)).* FROM unnest($1::text[]) WITH ORDINALITY AS t (token, n)"
        " ORDER BY n", tokens)
    states = {"00000": "ok", "22032": "no JSON", "22000": "refused", "22P02": "refused"}
    return [
        (states.get(row["state"], row["state"]),
         None if row["value"] is None else json.loads(row["value"]))
        for row in rows
    ]


async def test_forged(connection):
    """What is signed well and yet is no token, and tokens damaged at random."""
    await connection.execute("""
        CREATE FUNCTION outcome(token text, OUT state text, OUT value jsonb)
        LANGUAGE plpgsql AS $$ BEGIN
            value := syncmaster_decrypt(token);
            state := '00000';
        EXCEPTION WHEN OTHERS THEN
            state := SQLSTATE;
        END $$""")
    bodies = list(forged_bodies())
    tokens = [forge(body) for _, body in bodies]
    found = {"ok": 0, "no JSON": 0, "refused": 0}
    wrong = 0
    for (name, _), token, ours in zip(bodies, tokens, await outcomes(connection, tokens)):
        theirs = expected_outcome(FERNETS[0], token)
        found[theirs[0]] += 1
        if ours != theirs:
            wrong += 1
            print("# Python says", theirs, "and we say", ours, "of", name)
    ok(wrong == 0, f"{len(tokens)} well-signed bodies: the same answer")
    ok(min(found.values()) > 0, f"among them {found}")

    token = FERNETS[0].encrypt(b'{"a": 1}').decode()
    data = base64.urlsafe_b64decode(token)
    flipped = [
        base64.urlsafe_b64encode(
            data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]
        ).decode()
        for bit in range(8 * len(data))
    ]
    ok(
        set(await outcomes(connection, flipped)) == {("refused", None)},
        "a token with any one bit flipped is refused",
    )

    source = random.Random(6)
    wrong = accepted = tried = 0
    for _ in range(20):
        tokens = []
        for number in range(2500):
            token = FERNETS[0].encrypt(b"[%d]" % 10 ** source.randrange(20)).decode()
            for _ in range(source.choice([1, 1, 1, 2, 3])):
                token = mutate(source, token) if token else "="
            tokens.append(token)
        tried += len(tokens)
        for token, ours in zip(tokens, await outcomes(connection, tokens)):
            theirs = expected_outcome(FERNETS[0], token)
            accepted += theirs[0] == "ok"
            if ours != theirs:
                wrong += 1
                print("# Python says", theirs, "and we say", ours, "of", ascii(token))
    ok(wrong == 0, f"{tried} damaged tokens: the same answer")
    ok(tried * 0.1 < accepted < tried * 0.9, f"of which {accepted} still are tokens")


async def test_stored(connection):
    """Damaged tokens in the table: verification and rotation agree with Python."""
    source = random.Random(7)
    stored = {}
    for number in range(1, 301):
        token = FERNETS[number % 2].encrypt(b'{"n": %d}' % number).decode()
        if number % 3 == 0:
            token = mutate(source, token)
        stored[number] = token
    # signed well, and not to be read
    bodies = dict(forged_bodies())
    for number, name in ((10, "padding 17"), (20, "version 129"), (30, "payload b'\\xff'"),
                         (40, "0 bytes of ciphertext")):
        stored[number] = forge(bodies[name])
    await connection.executemany(
        "INSERT INTO auth_data (connection_id, value) VALUES ($1, $2)", list(stored.items()))
    await connection.execute(
        "SET syncmaster.secret_key_file = 'three.key';"
        "SET syncmaster.previous_secret_key_file = 'several.key'")
    multi = MultiFernet([FERNETS[2], FERNETS[0], FERNETS[1]])
    plaintexts = {}
    for number, token in stored.items():
        try:
            plaintexts[number] = multi.decrypt(token).decode("utf-8")
        except Exception:
            pass
    unreadable = sorted(stored.keys() - plaintexts.keys())
    ok(4 < len(unreadable) < 100, f"{len(unreadable)} of them cannot be read by Python")
    ok(
        await connection.fetchval(
            "SELECT connection_ids FROM syncmaster_verify_credentials()"
            " WHERE status = 'unreadable'") == unreadable,
        "verification names the same")
    ok(
        await connection.fetchval(
            "SELECT failed_connection_ids FROM syncmaster_rotate_credentials(true)")
        == unreadable,
        "and so does a dry run of rotation")
    await connection.execute("DELETE FROM auth_data WHERE connection_id = ANY ($1)", unreadable)
    count = await connection.fetchval(
        "SELECT re_encrypted FROM syncmaster_rotate_credentials()")
    rows = await connection.fetch("SELECT connection_id, value FROM auth_data")
    ok(
        count == len(plaintexts)
        and {row[0]: FERNETS[2].decrypt(row[1]).decode() for row in rows} == plaintexts,
        "the others are rotated, each with its own row")
    await connection.execute(
        "DELETE FROM auth_data; RESET syncmaster.secret_key_file;"
        "RESET syncmaster.previous_secret_key_file")


async def test_rotation(connection):
    """Rotating as MultiFernet does, with times of all kinds."""
    times = [0, 1, 499162800, 2**31, 2**32, 2**63, 2**64 - 1]
    payloads = {
        number: dumps({"n": number, "t": "т" * number}).encode()
        for number in range(1, 301)
    }
    tokens = {
        number: FERNETS[number % 2]
        .encrypt_at_time(payload, times[number % len(times)])
        .decode()
        for number, payload in payloads.items()
    }
    await connection.executemany(
        "INSERT INTO auth_data (connection_id, value) VALUES ($1, $2)",
        list(tokens.items()),
    )
    await connection.execute(
        "SET syncmaster.secret_key_file = 'three.key';"
        "SET syncmaster.previous_secret_key_file = 'several.key'"
    )
    result = await connection.fetchrow("SELECT * FROM syncmaster_rotate_credentials()")
    ok(result["re_encrypted"] == 300 and result["failed"] == 0, "rotation of 300")
    rows = await connection.fetch("SELECT connection_id, value FROM auth_data")
    ok(
        {row["connection_id"]: FERNETS[2].decrypt(row["value"]) for row in rows}
        == payloads,
        "Python reads them under the new key",
    )
    multi = MultiFernet([FERNETS[2], FERNETS[0], FERNETS[1]])
    ok(
        all(
            FERNETS[2].extract_timestamp(row["value"])
            == FERNETS[2].extract_timestamp(multi.rotate(tokens[row["connection_id"]]))
            for row in rows
        ),
        "the timestamps are those that MultiFernet.rotate() keeps",
    )
    # and the other way round
    await connection.executemany(
        "UPDATE auth_data SET value = $2 WHERE connection_id = $1",
        [
            (row["connection_id"], MultiFernet([FERNETS[0], FERNETS[2]]).rotate(row["value"]).decode())
            for row in rows
        ],
    )
    await connection.execute(
        "SET syncmaster.secret_key_file = 'one.key';"
        "SET syncmaster.previous_secret_key_file = ''"
    )
    ok(
        await connection.fetchval(
            "SELECT credentials FROM syncmaster_verify_credentials()"
            " WHERE status = 'primary key'"
        )
        == 300,
        "we read what MultiFernet rotated",
    )


async def test_generated_key(connection):
    key = await connection.fetchval("SELECT syncmaster_generate_key()")
    ok(Fernet(key).decrypt(Fernet(key).encrypt(b"x")) == b"x", "Python takes our key")


async def main():
    connection = await asyncpg.connect(
        host=os.environ["SYNCMASTER_TEST_HOST"],
        port=int(os.environ["SYNCMASTER_TEST_PORT"]),
        database="postgres",
        user=os.environ.get("PGUSER") or os.environ.get("USER") or "postgres",
    )
    try:
        await test_payloads(connection)
        await test_base64(connection)
        await test_generated_key(connection)
        await test_forged(connection)
        await test_stored(connection)
        await test_rotation(connection)
    finally:
        await connection.close()


asyncio.run(main())
