"""Results as text and as CSV."""

import csv
from itertools import groupby


def ratio(one, other):
    return one / other if other else float(one == 0) or float("inf")


def cell(value, width, digits=0):
    return f"{value:>{width},.{digits}f}"


def with_sums(results):
    """After the statements of a write, the whole of it, also what it leaves to
    others to do."""
    for operation, group in groupby(results, lambda result: result.operation):
        group = list(group)
        yield from group
        if group[0].kind == "write":
            upstream, ours = (
                [sum(figures) for figures in zip(*(getattr(one, name) for one in group))]
                for name in ("upstream", "ours")
            )
            yield group[0]._replace(
                statement="= whole", calls=max(one.calls for one in group),
                upstream=upstream, ours=ours)


def statements_as_text(results):
    """Time and buffers of upstream over ours: more is better for us.  Records of
    WAL the other way round: it is what the indexes cost."""
    head = (
        f"{'':34} {'calls':>5} {'ms':>9} {'ours':>9} {'ratio':>7} "
        f"{'buffers':>9} {'ours':>9} {'ratio':>7} {'WAL':>7} {'ours':>7} {'ratio':>6}"
    )
    lines = []
    kind = operation = None
    for result in with_sums(results):
        if result.kind != kind:
            kind = result.kind
            lines += ["", f"{kind}s".upper(), head]
        if result.operation != operation:
            operation = result.operation
            lines.append(operation)
        upstream, ours = result.upstream, result.ours
        line = (
            f"  {result.statement:32} {result.calls:5}"
            f" {cell(upstream[0], 9, 2)} {cell(ours[0], 9, 2)}"
            f" {cell(ratio(upstream[0], ours[0]), 7, 1)}"
            f" {cell(upstream[1], 9)} {cell(ours[1], 9)}"
            f" {cell(ratio(upstream[1], ours[1]), 7, 2)}"
        )
        if upstream[2] or ours[2]:
            line += (
                f" {cell(upstream[2], 7)} {cell(ours[2], 7)}"
                f" {cell(ratio(ours[2], upstream[2]), 6, 2)}"
            )
        lines.append(line)
    return "\n".join(lines)


def write_statements(path, by_scale):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            "scale kind operation statement calls upstream_ms ours_ms upstream_buffers"
            " ours_buffers upstream_wal_records ours_wal_records query".split()
        )
        for scale, results in by_scale.items():
            for result in results:
                upstream, ours = result.upstream, result.ours
                writer.writerow(
                    [scale, result.kind, result.operation, result.statement,
                     result.calls, f"{upstream[0]:.3f}", f"{ours[0]:.3f}",
                     upstream[1], ours[1], upstream[2], ours[2],
                     " ".join(result.query.split())]
                )


def durations_as_text(heading, rows):
    """Rows are a name and a dictionary of seconds; ratios are to the first."""
    first = next(iter(rows.values()))
    lines = ["", heading.upper(),
             f"{'':34}" + "".join(f" {name:>20}" for name in first)]
    for name, values in rows.items():
        cells = (
            f" {value:>12.2f} s {'' if values is first else f'{ratio(value, first[key]):.2f}':>5}"
            for key, value in values.items()
        )
        lines.append(f"{name:34}" + "".join(cells))
    return "\n".join(lines)


def write_durations(path, by_heading):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["what", "method", "figure", "seconds"])
        for heading, rows in by_heading.items():
            for name, values in rows.items():
                for key, value in values.items():
                    writer.writerow([heading, name, key, f"{value:.3f}"])
