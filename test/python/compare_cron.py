"""Compare src/health/cron.c with APScheduler's CronTrigger.from_crontab().

compare_cron.py PROGRAM NUMBER SEED: many random schedules, half of them wrong in
some way.  PROGRAM is test/unit/test_cron.c, compiled.
"""

import random
import subprocess
import sys
from datetime import datetime, timedelta, timezone

from apscheduler.triggers.cron import CronTrigger

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
RANGES = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]
NAMES = {
    3: "jan feb mar apr may jun jul aug sep oct nov dec".split(),
    4: "mon tue wed thu fri sat sun".split(),
}
FIXED = [
    "61 99 * * *", "@daily", "0 0 * * 7", "0 0 30 2 *", "", "* * * *", "* * * * * *",
    "0 0 29 2 *", "0 0 29 2 mon", "0-0/5 * * * *", "5-5/1 * * * *", "59/1 * * * *",
    "*/59 * * * *", "*/60 * * * *", "*/24 */23 * * *", "0 0 */30 */11 */6",
    "0 0 */31 * *", "0 0 * */12 *", "0 0 * * */7", "0 0 last * *", "0 0 LASTly * *",
    "0 0 last,15 * fri", "0 0 1st * *", "0 0 * jan/2 *", "0 0 * jan- *", "0 0 * jan-1 *",
    "0 0 * jan-foo *", "0 0 * decem *", "0 0 * nov-feb *", "0 0 * * MON-Fri!",
    "0 0 * * sun-mon", "1,,2 * * * *", "1, * * * *", ",1 * * * *", "*5 * * * *",
    "*-5 * * * *", "5- * * * *", "-5 * * * *", "5/ * * * *", "*/0 * * * *", "+5 * * * *",
    "00005 * * * *", "99999999999999999999 * * * *", "5 0 31 4,6,9,11 *",
    "0 0 31-31 4-5 *", "\t0\t0 * *\x1c*", "0 0 0 * *", "0 0 * 0 *", "? * * * *",
    "0 0 L * *", "0 0 * * mon#1", "_5 * * * *", "0x5 * * * *", "5.0 * * * *",
    "0 9 * * пн", "0 9 * * пн-пт", "0 9 * * 1–5", "0 9 * * 1−5", "0 9 * * монday",
    "0 9 * * monя", "0 9 * * mon-frя", "0 9 * * mon–fri", "0 9 * янв *", "0，30 9 * * *",
    "0\u00a09\u00a0*\u2003*\u3000*", "\u200b0 9 * * *", "\ufeff0 9 * * *", "0 9 * * *\u0085",
    "٠ ٩ * * *", "３０ ９ * * ０-４", "1٢ 𝟗 * * *", "0 ² * * *", "0 Ⅸ * * *", "✱ * * * *",
    "0 0 laſt * *", "0 0 * * ſun", "0 0 * * fr\u0131",
]
OTHERS = "٣７𝟘\u00a0\u2009\u3000я–−，²é€😀\u200b\u0085"


def random_part(field: int) -> str:
    low, high = RANGES[field]
    number = lambda: str(random.randint(low, high))
    kind = random.random()
    if kind < 0.25:
        part = "*"
    elif kind < 0.5:
        part = number()
    elif kind < 0.75:
        first, last = sorted(random.randint(low, high) for _ in range(2))
        part = f"{first}-{last}"
    elif field in NAMES:
        part = random.choice(NAMES[field])
        if random.random() < 0.5:
            part += "-" + random.choice(NAMES[field])
        if random.random() < 0.3:
            part = part.upper()
    elif field == 2 and kind < 0.85:
        part = "last"
    else:
        part = number()
    if random.random() < 0.25:
        part += f"/{random.randint(0, high + 2)}"
    return part


def random_schedule() -> str:
    fields = [
        ",".join(random_part(field) for _ in range(random.choice([1, 1, 1, 2, 3])))
        for field in range(5)
    ]
    text = " ".join(fields)
    if random.random() < 0.3:
        place = random.randrange(len(text) + 1)
        extra = random.choice("0123456789,-/* @abdflnst?#L" + OTHERS)
        text = text[:place] + extra + text[place + random.choice([0, 1]):]
    return text


def fires(trigger: CronTrigger, minute: int):
    found = trigger.get_next_fire_time(None, EPOCH + timedelta(minutes=minute))
    return None if found is None else int((found - EPOCH).total_seconds()) // 60


def main() -> int:
    program, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    random.seed(seed)
    cases = [(random.randint(26_000_000, 50_000_000), text) for text in FIXED]
    cases += [
        (random.randint(26_000_000, 50_000_000), random_schedule()) for _ in range(count)
    ]
    output = subprocess.run(
        [program], input="".join(f"{now} {text}\n" for now, text in cases),
        capture_output=True, encoding="utf-8", check=True,
    ).stdout.split("\n")
    wrong = accepted = never = 0
    for (now, text), ours in zip(cases, output):
        try:
            trigger = CronTrigger.from_crontab(text, timezone=timezone.utc)
        except ValueError:
            theirs = good = "refused"
        else:
            accepted += 1
            # a schedule that never fires is looked for until the year 9999
            if ours == "never":
                never += 1
                if never > 3:
                    continue
            following = fires(trigger, now)
            theirs = "never" if following is None else str(following)
            good = theirs
            if following is not None and " " in ours:
                # what was found as the last time fires, and nothing after it
                last = int(ours.split()[1])
                if last < now and fires(trigger, last) == last and fires(trigger, last + 1) == following:
                    good = f"{following} {last}"
        # letters that Python takes for others, which are not judged
        if ours == "unknown" and any(letter in text for letter in "\u0130\u0131\u017f\u212a"):
            continue
        if ours != good:
            wrong += 1
            print(f"{text!r} after {now}: APScheduler says {theirs}, cron.c {ours}")
    print(f"{len(cases)} compared, {accepted} accepted, {never} never fire, {wrong} wrong")
    return 1 if wrong or accepted < count // 5 or len(output) != len(cases) + 1 else 0


sys.exit(main())
