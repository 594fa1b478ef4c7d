"""Commands, flags, settings and users that are named exist."""

import re
import subprocess

from common import DEPLOY, ROOT, expect, read


def known_settings():
    """The environment's names of the settings that the program reads, and of where its private servers are."""
    known = {"HOLDFAST_CONFIG", *re.findall(r'"(HOLDFAST_\w+)"', read("Sources/LocalStack/ServerProgram.swift"))}
    for source in (ROOT / "Sources/Command").rglob("*.swift"):
        for scope, key in re.findall(r'"([a-z]+)\.([A-Za-z]+)"', source.read_text()):
            snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key).upper()
            known.add(f"HOLDFAST_{scope.upper()}_{snake}")
    return known


def check_names(program):
    helped = {}

    def help_of(*command):
        if command not in helped:
            done = subprocess.run([program, *command, "--help"], capture_output=True, text=True, timeout=60)
            helped[command] = done.stdout if done.returncode == 0 else ""
        return helped[command]

    def has(command, word):
        return re.search(rf"^  {word} ", help_of(*command), re.M) is not None

    settings = known_settings()
    pages = [p for p in DEPLOY.rglob("*") if p.is_file() and p.name != ".env"]
    pages.append(ROOT / "Sources/Holdfast/Holdfast.docc/Growing.md")
    seen = 0
    for page in pages:
        where = page.relative_to(ROOT)
        for number, line in enumerate(page.read_text().splitlines(), 1):
            for name in re.findall(r"\bHOLDFAST_[A-Z_]*[A-Z]", line):
                seen += 1
                expect(name in settings, f"{where}:{number}: there is no setting {name}")
            # As a command: not the namespace, role, database, service or image of that name.
            line = re.sub(r"-n holdfast\b", "", line)
            for rest in re.findall(r"(?:^|[`\s/(]|-- )(?:holdfast|--rm migrate) ((?!-)[a-z][^`#|;)]*)", line):
                words = rest.split()
                if page.suffix != ".md" and not has((), words[0]):
                    continue  # Prose of a comment, or SQL.
                seen += 1
                expect(has((), words[0]), f"{where}:{number}: there is no command holdfast {words[0]}")
                command = words[:1]
                if len(words) > 1 and has(command, words[1]):
                    command.append(words[1])
                for flag in re.findall(r"(?<!\S)--[a-z-]+", rest):
                    known = re.search(rf"{flag}\b", help_of(*command))
                    expect(known, f"{where}:{number}: {' '.join(command)} has no flag {flag}")
    made = set(re.findall(r"'(holdfast_\w+)'", read("deploy/database/logins.sql"))) | {"holdfast"}
    for page in pages:
        for user in re.findall(r"postgresql://(\w+)@|userName: (\w+)", page.read_text()):
            name = "".join(user)
            expect(name in made, f"{page.relative_to(ROOT)}: there is no user {name}")
    expect(seen > 50, f"only {seen} names were found")
