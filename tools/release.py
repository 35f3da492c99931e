"""Release the version that syncmaster.control names:

    python3 tools/release.py [YYYY-MM-DD]

Dates the changelogs (default: today), makes META.json's release_status "stable", and
writes the checksums of all scripts into test/released.sha256: from then on
tools/metadata.py, which tools/lint runs, finds a script that was changed.  Commits that
and tags it; what is left to do is "make dist" at the tag.
"""

import datetime
import hashlib
import pathlib
import re
import subprocess
import sys


def git(*arguments):
    return subprocess.run(["git", *arguments], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()


def replace(name, pattern, text):
    """Replace what is there once."""
    path = pathlib.Path(name)
    changed, count = re.subn(pattern, text, path.read_text(encoding="utf-8"), flags=re.M)
    if count != 1:
        sys.exit(f"{name} has {count} places like {pattern}, not one: is it released?")
    path.write_text(changed, encoding="utf-8")


def main():
    if len(sys.argv) > 2 or sys.argv[1:] and not re.fullmatch(r"\d{4}-\d\d-\d\d", sys.argv[1]):
        sys.exit(__doc__)
    day = (datetime.date.fromisoformat(sys.argv[1]) if sys.argv[1:]
           else datetime.datetime.now(datetime.timezone.utc).date())
    if git("status", "--porcelain"):
        sys.exit("there are changes that are not committed")
    control = pathlib.Path("syncmaster.control").read_text(encoding="utf-8")
    version = re.search(r"^default_version\s*=\s*'([^']+)'", control, re.M)[1]
    noon = datetime.datetime.combine(day, datetime.time(12), datetime.timezone.utc)

    replace("CHANGELOG.md", rf"^## \[{re.escape(version)}\] - unreleased$",
            f"## [{version}] - {day}")
    replace("debian/changelog", rf"^(\S+ \({re.escape(version)}-\d+\)) UNRELEASED;",
            r"\1 unstable;")
    # The first entry's; the others stay.
    replace("debian/changelog", r"\A([^\0]*?\n -- .*>  ).*$",
            rf"\g<1>{noon:%a, %d %b %Y %H:%M:%S} +0000")
    replace("META.json", r'^   "release_status": "testing",$', '   "release_status": "stable",')
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}\n"
            for path in sorted(pathlib.Path("migrations").glob("*.sql"))]
    pathlib.Path("test/released.sha256").write_text("".join(sums), encoding="utf-8")

    if subprocess.run([sys.executable, "tools/metadata.py"], check=False).returncode:
        sys.exit("nothing is committed; to go back: git checkout . && git clean -f test")
    tag = "v" + (version if version.count(".") == 2 else version + ".0")
    git("add", "CHANGELOG.md", "META.json", "debian/changelog", "test/released.sha256")
    git("commit", "-q", "-m", f"Release {tag[1:]}")
    git("tag", "-a", "-m", f"syncmaster {tag[1:]}", tag)
    print(f"released as {tag}: now make dist, and push the tag")


if __name__ == "__main__":
    main()
