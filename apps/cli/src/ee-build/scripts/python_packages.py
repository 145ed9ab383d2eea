"""Python packages: pip resolves them or the lock names them; wheels are made of exactly those, compared by their hashes."""
import glob
import json
import os
import re
import subprocess
import sys

from common import OUTPUT, PYTHON, locked, note, plain_name, refuse, run
from galaxy_folder import sha256_of

WHEELS = OUTPUT + "/wheels"


def pip(*words, **more):
    """Runs pip; gives its exit code."""
    env = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_ROOT_USER_ACTION="ignore", PIP_NO_CACHE_DIR="1")
    # Debian's Python does not let pip install beside the distribution's packages; an image is not a machine.
    if glob.glob("/usr/lib/python3*/EXTERNALLY-MANAGED"):
        env["PIP_BREAK_SYSTEM_PACKAGES"] = "1"
    if os.path.isdir(OUTPUT + "/wheelhouse"):
        env["PIP_FIND_LINKS"] = OUTPUT + "/wheelhouse"
    return subprocess.call([PYTHON, "-m", "pip", *words], env=env, **more)


def ensure_pip():
    """Makes pip be there."""
    run("sh", OUTPUT + "/scripts/packages.sh", "ensure-pip")


def resolve(requirements):
    """What pip would install now: [{name, version, sha256, url}]; what is there already and fits is not among them."""
    with open("/tmp/wanted.txt", "w") as file:
        file.write("\n".join(requirements) + "\n")
    if pip("install", "--dry-run", "--quiet", "--report", "/tmp/report.json", "-r", "/tmp/wanted.txt"):
        refuse("pip cannot resolve the Python packages: its words stand above (it must be pip 22.2 or later)")
    with open("/tmp/report.json") as file:
        report = json.load(file)
    found = []
    for item in report["install"]:
        source = item["download_info"]
        archive = source.get("archive_info") or {}
        sha256 = (archive.get("hashes") or {}).get("sha256") or archive.get("hash", "").replace("sha256=", "")
        if not sha256 and source["url"].startswith("file://") and os.path.isfile(source["url"][7:]):
            sha256 = sha256_of(source["url"][7:])
        entry = {"name": plain_name(item["metadata"]["name"]), "version": item["metadata"]["version"]}
        if sha256:
            entry["sha256"] = sha256
        if item.get("is_direct"):
            commit = (source.get("vcs_info") or {}).get("commit_id")
            prefix = source["vcs_info"]["vcs"] + "+" if commit else ""
            entry["url"] = prefix + source["url"] + ("@" + commit if commit else "")
        found.append(entry)
    return sorted(found, key=lambda entry: entry["name"])


def fetch_wheels(entries):
    """Wheels of exactly these packages, their archives compared with the hashes."""
    os.makedirs(WHEELS, exist_ok=True)

    def fetch(some, quiet=False):
        # Requirements by hash and such without (a git commit has none) cannot be mixed in one call.
        for hashed in (True, False):
            part = [entry for entry in some if ("sha256" in entry) == hashed]
            if not part:
                continue
            with open("/tmp/exact.txt", "w") as file:
                for entry in part:
                    named = "%s @ %s" % (entry["name"], entry["url"]) if "url" in entry else "%(name)s==%(version)s" % entry
                    file.write(named + (" --hash=sha256:" + entry["sha256"] if hashed else "") + "\n")
            words = ["wheel", "--no-deps", "-w", WHEELS, "-r", "/tmp/exact.txt"] + (["--require-hashes"] if hashed else [])
            if pip(*words, **({"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} if quiet else {})):
                return False
        return True

    if fetch(entries):
        return
    missing = [entry for entry in entries if not fetch([entry], quiet=True)]
    if not missing:
        refuse("pip cannot fetch the Python packages: its words stand above")
    refuse(*("the Python package %s %s (SHA-256 %s) cannot be had%s: pip's words stand above"
             % (entry["name"], entry["version"], entry.get("sha256", "unknown"), " any more" if locked("python") else "")
             for entry in missing))


def python_layer(layer, requirements):
    """Resolves, or takes from the lock; leaves wheels."""
    exact = locked("python")
    if exact is not None:
        entries = [entry for entry in exact if entry["layer"] == layer]
    else:
        entries = []
        if requirements:
            ensure_pip()
            entries = resolve(requirements)
    if entries:
        ensure_pip()
        fetch_wheels(entries)
    note("python-" + layer, [dict(entry, layer=layer) for entry in entries])
    return entries


def install_wheels():
    """Installs the wheels that were made, and nothing else."""
    wheels = sorted(glob.glob(WHEELS + "/*.whl"))
    if wheels:
        ensure_pip()
        if pip("install", "--no-index", "--no-deps", *wheels):
            sys.exit(1)


def distributions():
    """{name: version} of the packages that pip installed: the distribution's own lie below /usr/lib."""
    from importlib import metadata
    found = {}
    for one in metadata.distributions():
        path = str(getattr(one, "_path", ""))
        if one.metadata["Name"] and not re.match(r"/usr/lib(64)?/", path):
            found.setdefault(plain_name(one.metadata["Name"]), one.version)
    return found
