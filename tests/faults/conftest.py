"""The table of faults by class, printed at the end of a session in which they ran; with -v every poor
refusal."""

from tests.faults.judge import WAYS


def pytest_terminal_summary(terminalreporter):
    groups = {}
    for report in (r for reports in terminalreporter.stats.values() for r in reports):
        for name, value in getattr(report, "user_properties", ()):
            if name == "fault" and report.when == "call":
                group, way, case, said = value
                row = groups.setdefault(group, dict.fromkeys(WAYS, 0))
                row[way] += 1
                if way == "poor" and terminalreporter.verbosity > 0:
                    terminalreporter.write_line(f"poor: {case}: {said[:400]!r}")
    if not groups:
        return
    total = {way: sum(row[way] for row in groups.values()) for way in WAYS}
    terminalreporter.write_line(
        f"\n{'faults':14}{'cases':>7}" + "".join(f"{way:>9}" for way in WAYS)
    )
    for group, row in [*groups.items(), ("all", total)]:
        numbers = "".join(f"{row[way]:9}" for way in WAYS)
        terminalreporter.write_line(f"{group:14}{sum(row.values()):7}{numbers}")
