"""The version, META.json, the changelogs, Debian's control files and the set of scripts
agree, and scripts that were released are as they were.

Prints what is wrong; silent and successful otherwise.
"""

import hashlib
import json
import pathlib
import re
import sys

SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)([-+]?[A-Za-z][0-9A-Za-z-]*)?")
REQUIRED = {"name", "version", "abstract", "maintainer", "license", "provides", "meta-spec"}
OPTIONAL = {"description", "release_status", "prereqs", "resources", "tags",
            "generated_by", "no_index", "date"}
LICENSES = {"agpl_3", "apache_1_1", "apache_2_0", "artistic_1", "artistic_2", "bsd",
            "freebsd", "gfdl_1_2", "gfdl_1_3", "gpl_1", "gpl_2", "gpl_3", "lgpl_2_1",
            "lgpl_3_0", "mit", "mozilla_1_0", "mozilla_1_1", "openssl", "perl_5",
            "postgresql", "qpl_1_0", "ssleay", "sun", "zlib", "open_source",
            "restricted", "unrestricted", "unknown"}
PHASES = {"configure", "build", "test", "runtime", "develop"}
RELATIONS = {"requires", "recommends", "suggests", "conflicts"}
ECHO = re.compile(r'\\echo Use "(CREATE|ALTER) EXTENSION syncmaster[^"]*" to load this file\. \\quit')

problems = []


def expect(condition, problem):
    if not condition:
        problems.append(problem)


def semver(version):
    return isinstance(version, str) and SEMVER.fullmatch(version)


def version_range(text):
    """A range is versions with optional comparisons, joined by commas."""
    return str(text) == "0" or all(
        semver(re.sub(r"^(==|!=|<=|>=|<|>)\s*", "", part.strip()))
        for part in str(text).split(","))


def check_meta(version):
    """META.json by the rules of the PGXN Meta Spec 1.0.0."""
    meta = json.loads(pathlib.Path("META.json").read_text(encoding="utf-8"))

    for key in sorted(REQUIRED - meta.keys()):
        problems.append(f"META.json lacks {key}")
    for key in sorted(meta.keys() - REQUIRED - OPTIONAL):
        expect(key.lower().startswith("x_"), f"META.json has an unknown key {key}")
    if problems:
        return

    # A release of PGXN has three numbers, where ours may leave the last one out.
    wanted = version if version.count(".") == 2 else version + ".0"
    expect(re.fullmatch(r"[^\s/\\\x00-\x20\x7f]{2,}", meta["name"]), "META.json: name")
    expect(semver(meta["version"]), "META.json: version is not a semantic one")
    expect(meta["version"] == wanted,
           f"META.json: version is {meta['version']}, not {wanted}")
    licenses = meta["license"] if isinstance(meta["license"], list) else [meta["license"]]
    expect(isinstance(meta["license"], dict) or set(licenses) <= LICENSES,
           "META.json: unknown license")
    expect(meta["meta-spec"].get("version") == "1.0.0", "META.json: meta-spec")
    expect(meta.get("release_status", "stable") in {"stable", "testing", "unstable"},
           "META.json: release_status")
    expect(all(isinstance(tag, str) and 0 < len(tag) < 256 for tag in meta.get("tags", [])),
           "META.json: tags")

    expect(meta["provides"], "META.json: provides nothing")
    for name, provided in meta["provides"].items():
        expect(provided.get("version") == wanted,
               f"META.json: {name} is not provided in version {wanted}")
        for key in ("file", "docfile"):
            if key == "file" or key in provided:
                expect(pathlib.Path(provided.get(key, "-")).is_file(),
                       f"META.json: {key} of {name} does not exist")

    for phase, relations in meta.get("prereqs", {}).items():
        expect(phase in PHASES, f"META.json: unknown phase {phase}")
        for relation, needs in relations.items():
            expect(relation in RELATIONS, f"META.json: unknown relation {relation}")
            for name, needed in needs.items():
                expect(version_range(needed), f"META.json: version range of {name}")


def reachable(start, edges):
    found, todo = {start}, [start]
    while todo:
        here = todo.pop()
        for source, target in edges:
            if source == here and target not in found:
                found.add(target)
                todo.append(target)
    return found


def check_members(script):
    """The library knows whom each function and view is for, and gives it its rights."""
    text = script.read_text(encoding="utf-8")
    source = pathlib.Path("src/schema/member.c").read_text(encoding="utf-8")
    known = set(re.findall(r'^\t\{"(\w+)", MEMBER_', source, re.M))
    made = list(re.finditer(r"^CREATE (?:FUNCTION|PROCEDURE|VIEW) @extschema@\.(\w+)", text, re.M))
    calls = re.findall(r"^SELECT @extschema@\.(\w+)\((.*)", text, re.M)

    for name in sorted({match[1] for match in made} - known):
        problems.append(f"{script} makes {name}, which src/schema/member.c does not have")
    expect(not re.search(r"^(GRANT|REVOKE)\b|@extowner@", text, re.M),
           f"{script} grants, revokes or names @extowner@")
    versions = re.findall(r"1\.(\d+)", script.name)
    last = "migrate" if versions != sorted(versions, key=int) else "finish_script"
    expect(calls and calls[-1][0] == f"syncmaster_{last}",
           f"{script} does not end with a call of syncmaster_{last}()")
    expect(not made or made[-1].start() < text.rfind("SELECT @extschema@.syncmaster_"),
           f"{script} makes something after its last call")


def check_scripts(version):
    """One base script; from it every version is reached, and from every version the default."""
    bases, edges = [], set()
    for script in sorted(pathlib.Path("migrations").iterdir()):
        match = re.fullmatch(r"syncmaster--([\d.]+?)(?:--([\d.]+))?\.sql", script.name)
        if not match:
            problems.append(f"{script} is not named as a script of the extension")
            continue
        if match[2]:
            edges.add((match[1], match[2]))
        else:
            bases.append(match[1])
        lines = script.read_text(encoding="utf-8").splitlines()
        head = next((line for line in lines if line and not line.startswith("--")), "")
        expect(ECHO.fullmatch(head), f"{script} does not begin with the usual \\echo line")
        check_members(script)

    expect(len(bases) == 1, f"there are {len(bases)} base scripts, not one")
    versions = set(bases).union(*edges) if edges else set(bases)
    expect(version in versions, f"no script leads to the default version {version}")
    for base in bases:
        for other in sorted(versions - reachable(base, edges)):
            problems.append(f"no path of scripts leads from {base} to {other}")
    for other in sorted(versions):
        expect(version in reachable(other, edges),
               f"no path of scripts leads from {other} to {version}")
    for source, target in sorted(edges):
        expect((target, source) in edges,
               f"there is no way back from {target} to {source}")


def check_debian(version):
    """debian/ packages this version, and its control file is the template's."""
    changelog = pathlib.Path("debian/changelog").read_text(encoding="utf-8")
    control = pathlib.Path("debian/control").read_text(encoding="utf-8")
    source = re.match(r"Source: (\S+)\n", control)[1]
    expect(re.match(rf"{re.escape(source)} \({re.escape(version)}-\d+\) ", changelog),
           f"debian/changelog does not begin with version {version} of {source}")
    template = pathlib.Path("debian/control.in").read_text(encoding="utf-8")
    major = re.search(r"^Package: postgresql-(\d+)-", control, re.M)
    expect(major and control == template.replace("PGVERSION", major[1]),
           "debian/control is not debian/control.in for one major")

    # Whoever follows the page has all that the packages are built with.
    depends = re.search(r"^Build-Depends:\n((?: .*\n)+)", control, re.M)[1]
    needed = {"build-essential"} | {
        "debhelper" if name == "debhelper-compat" else name
        for name in re.findall(r"^ ([a-z0-9.+-]+)(?![^\n]*<!nocheck>)", depends, re.M)}
    page = pathlib.Path("CONTRIBUTING.md").read_text(encoding="utf-8")
    install = re.search(r"apt\s+install\s+([^`]*)`", page.split("## Release")[1])
    expect(install and needed <= set(install[1].split()),
           f"CONTRIBUTING.md does not install all of {', '.join(sorted(needed))}")


def check_release(version, changelog):
    """Either all say that this version is released, or none; and its scripts are frozen."""
    meta = json.loads(pathlib.Path("META.json").read_text(encoding="utf-8"))
    debian = pathlib.Path("debian/changelog").read_text(encoding="utf-8")
    frozen = pathlib.Path("test/released.sha256")
    sums = dict(reversed(line.split("  ")) for line in
                (frozen.read_text(encoding="utf-8").splitlines() if frozen.exists() else []))
    section = re.search(rf"^## \[{re.escape(version)}\] - (.*)$", changelog, re.M)
    day = section[1] if section else "none"
    stable = meta.get("release_status", "stable") == "stable"

    expect(re.fullmatch(r"\d{4}-\d\d-\d\d", day) if stable else day == "unreleased",
           f"CHANGELOG.md: the date of {version} is {day}, and META.json's release_status "
           f"{meta.get('release_status')}")
    expect(stable != debian.split("\n", 1)[0].endswith(" UNRELEASED; urgency=medium"),
           "debian/changelog and META.json do not agree on whether it is released")
    for name, checksum in sums.items():
        script = pathlib.Path(name)
        expect(script.exists() and hashlib.sha256(script.read_bytes()).hexdigest() == checksum,
               f"{name} was released, and may not change")
    for script in pathlib.Path("migrations").glob("*.sql"):
        expect(not stable or str(script) in sums,
               f"{script} is not in {frozen}: tools/release.py writes it")


def main():
    control = pathlib.Path("syncmaster.control").read_text(encoding="utf-8")
    version = re.search(r"^default_version\s*=\s*'([^']+)'", control, re.M)[1]
    changelog = pathlib.Path("CHANGELOG.md").read_text(encoding="utf-8")

    check_meta(version)
    check_scripts(version)
    check_debian(version)
    check_release(version, changelog)

    print("\n".join(problems), end="\n" if problems else "")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
