"""Release the version that syncmaster.control names:

    python3 tools/release.py [YYYY-MM-DD]

Dates the changelogs (default: today), makes META.json's release_status "stable", and
writes the checksums of all scripts into test/released.sha256: from then on
tools/metadata.py, which tools/lint runs, finds a script that was changed.  Commits that
and tags it; what is left to do is "make dist" at the tag.
"""

import datetime
import hashlib
import os
import pathlib
import re
import subprocess
import sys


def git(*arguments):
    return subprocess.run(["git", *arguments], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()


def succeeds(*command):
    return subprocess.run(command, check=False, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0


class Files:
    """Files as they are to be; nothing is written before all is known."""

    def __init__(self):
        self.texts = {}

    def replace(self, name, pattern, text):
        """Replace what is there once."""
        old = self.texts.get(name) or pathlib.Path(name).read_text(encoding="utf-8")
        self.texts[name], count = re.subn(pattern, text, old, flags=re.M)
        if count != 1:
            sys.exit(f"{name} has {count} places like {pattern}, not one: is it released?")

    def write(self):
        for name, text in self.texts.items():
            pathlib.Path(name).write_text(text, encoding="utf-8")


def frozen():
    """The checksums of released scripts, and those of the scripts that are new."""
    path = pathlib.Path("test/released.sha256")
    lines = path.read_text(encoding="utf-8").splitlines(True) if path.exists() else []
    names = {line.split()[1] for line in lines}
    return "".join(lines + [f"{hashlib.sha256(script.read_bytes()).hexdigest()}  {script}\n"
                            for script in sorted(pathlib.Path("migrations").glob("*.sql"))
                            if str(script) not in names])


def requested_day():
    if len(sys.argv) > 2:
        sys.exit(__doc__)
    try:
        return (datetime.date.fromisoformat(sys.argv[1]) if sys.argv[1:]
                else datetime.datetime.now(datetime.timezone.utc).date())
    except ValueError:
        sys.exit(__doc__)


def main():
    day = requested_day()
    os.chdir(pathlib.Path(__file__).resolve().parent.parent)
    control = pathlib.Path("syncmaster.control").read_text(encoding="utf-8")
    version = re.search(r"^default_version\s*=\s*'([^']+)'", control, re.M)[1]
    tag = "v" + (version if version.count(".") == 2 else version + ".0")
    if git("status", "--porcelain"):
        sys.exit("there are changes that are not committed")
    if not succeeds("git", "symbolic-ref", "-q", "HEAD"):
        sys.exit("HEAD is no branch")
    if not succeeds("git", "var", "GIT_COMMITTER_IDENT"):
        sys.exit("git does not know who you are: git config user.name, user.email")

    # The first moment of the day: packages are not the same twice if they are built
    # before the date that they bear.
    midnight = datetime.datetime.combine(day, datetime.time(0), datetime.timezone.utc)
    files = Files()
    files.replace("CHANGELOG.md", rf"^## \[{re.escape(version)}\] - unreleased$",
                  f"## [{version}] - {day}")
    files.replace("debian/changelog", rf"^(\S+ \({re.escape(version)}-\d+\)) UNRELEASED;",
                  r"\1 unstable;")
    # The first entry's; the others stay.
    files.replace("debian/changelog", r"\A([^\0]*?\n -- .*>  ).*$",
                  rf"\g<1>{midnight:%a, %d %b %Y %H:%M:%S} +0000")
    files.replace("META.json", r'^   "release_status": "testing",$',
                  '   "release_status": "stable",')
    if succeeds("git", "rev-parse", "-q", "--verify", f"refs/tags/{tag}"):
        sys.exit(f"the tag {tag} is there already")
    # A script that was released and changed since stops here.
    if subprocess.run([sys.executable, "tools/metadata.py"], check=False).returncode:
        sys.exit("nothing was changed")
    files.texts["test/released.sha256"] = frozen()

    files.write()
    if subprocess.run([sys.executable, "tools/metadata.py"], check=False).returncode:
        sys.exit("nothing is committed; to go back: git checkout . && git clean -f test")
    git("add", *files.texts)
    git("commit", "-q", "-m", f"Release {tag[1:]}")
    git("tag", "-a", "-m", f"syncmaster {tag[1:]}", tag)
    print(f"released as {tag}: now make dist, and push the tag")


if __name__ == "__main__":
    main()
