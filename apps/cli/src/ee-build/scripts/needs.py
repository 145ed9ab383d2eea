"""What the definition and its collections need: Python requirements, and system packages in bindep's format."""
import glob
import os
import re
import subprocess

from common import OUTPUT, lines_of, plain_name, refuse, run

# What a collection may not ask for: the definition decides about Ansible, and tools for its own tests are of no use here.
NEVER = {"ansible", "ansible-base", "ansible-core", "ansible-runner", "ansible-lint", "coverage", "flake8", "mock", "molecule",
         "pycodestyle", "pylint", "pytest", "pytest-ansible", "pytest-forked", "pytest-mock", "pytest-xdist", "tox", "yamllint"}


def excluded(patterns, name):
    """By name, or by an expression after a tilde; case does not count."""
    return any(re.fullmatch(pattern[1:], name, re.IGNORECASE) if pattern.startswith("~") else pattern.lower() == name.lower()
               for pattern in patterns)


def collection_needs(root, exclude):
    """(Python requirements, lines of bindep) of all collections below a folder, without what the definition excludes."""
    python, system = [], []
    for folder in sorted(glob.glob(root + "/ansible_collections/*/*/")):
        name = ".".join(folder.rstrip("/").split("/")[-2:])
        if excluded(exclude["all_from_collections"], name):
            continue
        files = {"python": "requirements.txt", "system": "bindep.txt"}
        if os.path.isfile(folder + "meta/execution-environment.yml"):
            import yaml
            with open(folder + "meta/execution-environment.yml") as file:
                files = (yaml.safe_load(file) or {}).get("dependencies") or {}
        for line in needs_of(folder, files.get("python"), follow=True):
            if plain_name(line) not in NEVER and not excluded(exclude["python"], plain_name(line)):
                python.append(line)
        for line in needs_of(folder, files.get("system")):
            if not excluded(exclude["system"], line.split()[0]):
                system.append(line)
    return python, system


def needs_of(folder, given, follow=False):
    """The lines that a collection names itself, or those of a file of it; files that a requirements file includes too."""
    lines = given if isinstance(given, list) else lines_of(folder + given) if given else []
    for line in lines:
        included = re.match(r"(?:-r|--requirement)[ =](.+)", line) if follow else None
        if included:
            yield from needs_of(folder, os.path.join(os.path.dirname(given), included.group(1).strip()), follow=True)
        elif not line.startswith("-"):
            yield line


def platforms():
    """The platform's names in bindep's profiles."""
    with open("/etc/os-release") as file:
        info = dict(line.rstrip().replace('"', "").split("=", 1) for line in file if "=" in line)
    names = {info["ID"], *info.get("ID_LIKE", "").split()}
    names |= {"%s-%s" % (info["ID"], info[key]) for key in ("VERSION_ID", "VERSION_CODENAME") if info.get(key)}
    names.add("dpkg" if os.path.basename(os.environ["PKGMGR"]).startswith("apt") else "rpm")
    if {"rhel", "fedora", "centos"} & names:
        names.add("redhat")
    return {"platform:" + name for name in names}


def holds(selectors, active):
    """One of those without a "!" must be active if there are any, and none of those with one."""
    chosen = [selector for selector in selectors if not selector.startswith("!")]
    return (not chosen or any(selector in active for selector in chosen)) and not any(
        selector[1:] in active for selector in selectors if selector.startswith("!"))


def select(lines, profiles):
    """The packages of bindep's lines on this platform: [(name, [(operator, version)])]."""
    here, chosen = platforms(), {}
    for line in lines:
        match = re.match(r"(\S+)(?:\s+\[([^\]]*)\])?\s*(.*)$", line)
        name, inner, versions = match.groups()
        # A group in parentheses holds if all of it does.
        groups = re.findall(r"\(([^)]*)\)", inner or "")
        single = re.sub(r"\([^)]*\)", " ", inner or "").split()
        system = [word for word in single if "platform:" in word]
        user = [word for word in single if "platform:" not in word]
        active = here | profiles
        if groups and not any(all(holds([word], active) for word in group.split()) for group in groups):
            continue
        if holds(system, here) and holds(user, profiles):
            chosen.setdefault(name, []).extend(re.findall(r"(==|<=|>=|<|>|!=)([^,\s]+)", versions))
    return sorted(chosen.items())


def install_packages(packages):
    """Installs what `select` gave, in the versions that it demands."""
    if not packages:
        return
    exact = {name: version for name, rules in packages for operator, version in rules if operator == "=="}
    joint = "=" if "platform:dpkg" in platforms() else "-"
    run("sh", OUTPUT + "/scripts/packages.sh", "install",
        *(name + (joint + exact[name] if name in exact else "") for name, _ in packages))
    if joint == "=":
        check_versions(packages)


def check_versions(packages):
    """Ends the build if a package is not in a version that was asked for."""
    words = {"==": "eq", "<": "lt", "<=": "le", ">": "gt", ">=": "ge", "!=": "ne"}
    for name, rules in packages:
        version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], stdout=subprocess.PIPE).stdout.decode()
        for operator, bound in rules:
            if subprocess.call(["dpkg", "--compare-versions", version, words[operator], bound]):
                refuse("the system package %s is %s here; %s%s is asked for" % (name, version, operator, bound))
