"""What happens inside an execution environment while it is built: builder.py COMMAND, called by the Containerfile.

  snapshot        notes what the base image has
  base PACKAGE... installs ansible-core and ansible-runner by pip
  galaxy          downloads roles and collections, notes their hashes, installs them
  introspect      what do the definition and the collections need? Resolves Python packages and makes wheels of them
  assemble        installs in the final image what `introspect` found
  user            the user, its home, and the places where a pod's volumes are mounted
  check           are ansible-core and ansible-runner there?
  record          writes /usr/share/gantry/ee-build.json: all that was installed, with versions and hashes

With a lock (/output/lock) nothing is resolved: exactly what it names is fetched and its hash compared.
A line that begins with "gantry: " is for the person who builds. Nothing but Python's own library is needed, and PyYAML,
which ansible-core brings, where there are collections.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

from common import NOTES, OUTPUT, PYTHON, lines_of, note, noted, refuse, run
from galaxy_content import COLLECTIONS, galaxy, installed_roles
from needs import collection_needs, install_packages, platforms, select
from python_packages import WHEELS, distributions, install_wheels, python_layer

RECORD = "/usr/share/gantry/ee-build.json"


def introspect():
    """Installs what compiling needs, resolves Python packages, makes wheels, notes the packages for the final image."""
    with open("/build/exclude.json") as file:
        python, system = collection_needs(COLLECTIONS, json.load(file))
    python = lines_of("/build/requirements.txt") + python
    system = lines_of("/build/bindep.txt") + system
    os.makedirs(NOTES, exist_ok=True)
    note("packages", select(system, set()))
    runtime, compiling = select(system, set()), select(system, {"compile"})
    # Only what is compiled here needs what compiling needs; the final image installs its own.
    if python or compiling != runtime:
        install_packages(compiling)
    python_layer("final", list(dict.fromkeys(python)))


def assemble():
    """Installs in the final image what `introspect` has noted."""
    install_packages(noted("packages", []))
    install_wheels()


def user(name, workdir, relaxed):
    """The user with an entry in /etc/passwd, its home, and the places where volumes are mounted."""
    import pwd
    try:
        entry = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        if not name.isdigit():
            refuse("options.user: the image has no user %s: make it in additional_build_steps.append_final, or give a number" % name)
        # Ansible's async looks for its files in the home of the passwd entry: a user without one has none.
        with open("/etc/passwd", "a") as file:
            file.write("runner:x:%s:0:Execution Environment:%s:/bin/bash\n" % (name, workdir))
        entry = pwd.getpwuid(int(name))
    os.makedirs(workdir, exist_ok=True)
    os.chown(workdir, entry.pw_uid, 0)
    run("chgrp", "-R", "0", workdir)
    run("chmod", "-R", "g=u", workdir)
    # The root of a pod is read-only, so what is mounted into it needs its place.
    for folder in ("/agent", "/run/gantry"):
        os.makedirs(folder, mode=0o755, exist_ok=True)
    if relaxed == "true":
        run("chmod", "ug+rw", "/etc/passwd")


def first_line_of(words, **more):
    """What a program says about its version; None if it cannot run. It leaves nothing in the home of the image's user."""
    with tempfile.TemporaryDirectory() as home:
        env = dict(os.environ, HOME=home, LC_ALL="C.UTF-8")
        try:
            done = subprocess.run([*words, "--version"], stdout=subprocess.PIPE, env=env, **more)
        except FileNotFoundError:
            return None
    return None if done.returncode else done.stdout.decode().split("\n")[0]


def check():
    """Ends the build if Ansible cannot run."""
    for program, key in (("ansible", "ansible_core"), ("ansible-runner", "ansible_runner")):
        if first_line_of([program]) is None:
            refuse("the image has no working %s: name it in dependencies.%s, take a base image that has it, "
                   "or set options.skip_ansible_check" % (program, key))


def record():
    """Writes down all that differs from the base image."""
    run("sh", OUTPUT + "/scripts/packages.sh", "record", "/tmp/packages")
    packages = []
    with open("/tmp/packages") as file:
        for line in file:
            name, architecture, version, *sha256 = line.rstrip("\n").split("\t")
            packages.append(dict({"name": name, "version": version, "architecture": architecture},
                                 **({"sha256": sha256[0]} if sha256 and sha256[0] else {})))
    os.remove("/tmp/packages")
    before = noted("snapshot", {})
    known = {entry["name"]: entry for layer in ("base", "final") for entry in noted("python-" + layer, [])}
    python = [known[name] if name in known and known[name]["version"] == version
              else {"name": name, "version": version, "layer": "step"}
              for name, version in sorted(distributions().items()) if before.get(name) != version]
    versions = {name: first_line_of(words, stderr=subprocess.DEVNULL)
                for name, words in (("ansible", ["ansible"]), ("pip", [PYTHON, "-m", "pip"]))}
    tools = {name: re.sub(r" from .*", "", said) for name, said in versions.items() if said}
    tools["python"] = "%d.%d.%d" % sys.version_info[:3]
    value = {"system": {"manager": "dpkg" if "platform:dpkg" in platforms() else "rpm", "packages": packages},
             "python": python, "collections": noted("collections", []), "roles": list(installed_roles()), "tools": tools}
    os.makedirs(os.path.dirname(RECORD), exist_ok=True)
    with open(RECORD, "w") as file:
        json.dump(value, file, indent=1, sort_keys=True)


def main(command, *words):
    """Runs a command."""
    if command == "snapshot":
        note("snapshot", distributions())
    elif command == "base":
        python_layer("base", list(words))
        install_wheels()
        run("rm", "-rf", WHEELS)
    elif command in COMMANDS:
        COMMANDS[command]()
    elif command == "user":
        user(*words)
    else:
        refuse("builder.py knows no " + command)


COMMANDS = {"galaxy": galaxy, "introspect": introspect, "assemble": assemble, "check": check, "record": record}

if __name__ == "__main__":
    main(*sys.argv[1:])
