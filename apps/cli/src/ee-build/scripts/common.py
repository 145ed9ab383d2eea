"""What the scripts of a build share: running programs, notes for a later stage, the lock, words for the person who builds."""
import json
import os
import re
import subprocess
import sys

OUTPUT = "/output"
LOCK = OUTPUT + "/lock"
NOTES = OUTPUT + "/notes"
PYTHON = os.environ.get("PYCMD", sys.executable)


def refuse(*sentences):
    """Ends the build, with the reason for a person."""
    for sentence in sentences:
        print("gantry: " + sentence, flush=True)
    sys.exit(1)


def run(*words, **more):
    """Runs a program and ends the build if it fails."""
    print("+ " + " ".join(words), flush=True)
    code = subprocess.call(words, **more)
    if code:
        sys.exit(code)


def note(name, value):
    """Keeps a value for a later stage."""
    os.makedirs(NOTES, exist_ok=True)
    with open("%s/%s.json" % (NOTES, name), "w") as file:
        json.dump(value, file)


def noted(name, otherwise):
    """A value that an earlier stage has kept."""
    try:
        with open("%s/%s.json" % (NOTES, name)) as file:
            return json.load(file)
    except FileNotFoundError:
        return otherwise


def locked(name):
    """A part of the lock; None where there is no lock."""
    try:
        with open("%s/%s.json" % (LOCK, name)) as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def lines_of(path):
    """The lines of a file without comments and blanks; none if there is no file."""
    try:
        with open(path) as file:
            return [line for line in (re.sub(r"(^|\s)#.*$", "", raw).strip() for raw in file) if line]
    except FileNotFoundError:
        return []


def plain_name(requirement):
    """The package a requirement is about, as indexes spell it."""
    match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)
    return re.sub(r"[-_.]+", "-", match.group()).lower() if match else requirement
