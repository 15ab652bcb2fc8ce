"""Write the figures of README.md and of docs/ anew from the records: `python -m benchmarks.readme`.

Every table names the machine it was measured on, and none is made from the records of two.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .chart import TITLES, chart, is_ours
from .harness import RESULTS, ROOT, machine_of, one_machine, read_record

Record = dict[str, Any]

PAGES = (ROOT / "README.md", ROOT / "docs" / "speed.md", ROOT / "docs" / "results.md")
CHART = ROOT / "docs" / "speed.png"
SPEED_HEADINGS = (
    "",
    "ms a picture",
    "pictures/s",
    "× default",
    "agrees with default",
    "of what is possible",
    "peak memory",
)


def main() -> None:
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    chart(speed_records("cpu")).savefig(CHART, dpi=150)


def pages(results: Path = RESULTS) -> dict[Path, str]:
    """The pages as they should read: what stands between `<!-- name -->` and `<!-- end of name -->` made anew.

    Raises ValueError where a table would be made from records of two machines.
    """
    figures = {
        "speed": speed(results),
        "choices": choices(read_record(results / "choices.json")),
        "scaled decoding": scaled_decoding(read_record(results / "scaled_decoding.json")),
        "clock": clock(read_record(results / "clock.json")),
        "exports": exports(read_record(results / "exports.json")),
    }
    where_measured = {
        "first_picture": first_picture,
        "compare_trees": trees,
        "decoders": decoders,
        "gallery": gallery,
        "int8_tags": int8_tags,
    }
    for name, show in where_measured.items():
        path = results / f"{name}.json"
        if path.exists():
            figures[name.replace("_", " ")] = show(read_record(path))
    texts = {}
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for name, figure in figures.items():
            text = put_between_markers(text, name, figure)
        texts[path] = text
    return texts


def put_between_markers(text: str, name: str, figure: str) -> str:
    start, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    between = re.compile(f"{start}.*?{end}", flags=re.DOTALL)
    return between.sub(lambda _: f"{start}\n{figure}\n{end}", text)


def speed(results: Path) -> str:
    """A table a workload and place, and a paragraph on memory and start-up."""
    tables = []
    for place in ("cpu", "gpu"):
        for record in speed_records(place, results):
            tables.append(speed_table(record))
    memory = read_record(results / "memory.json")
    cold_start = read_record(results / "cold_start.json")
    return "\n\n".join([*tables, memory_and_cold_start(memory, cold_start)])


def speed_records(place: str, results: Path = RESULTS) -> list[Record]:
    """The speed records there are, the heaviest model first; `place`: "cpu" or "gpu"."""
    paths = [results / f"speed_{workload}_{place}.json" for workload in TITLES]
    return [read_record(path) for path in paths if path.exists()]


def speed_table(record: Record) -> str:
    rows = [speed_row(row) for row in record["rows"]]
    title = TITLES[record["workload"]]
    return f"**{title}** · {machine_of(record)}\n\n{table(SPEED_HEADINGS, rows)}"


def speed_row(row: Record) -> list[str]:
    name = in_bold_if_ours(row["contender"])
    agreement = ""
    if row["agreement"] is not None:
        agreement = f"{row['agreement']:.1%}"
    efficiency = ""
    if row.get("efficiency") is not None:
        efficiency = f"{row['efficiency']:.0%}"
    milliseconds = f"{row['ms']:,.1f}"
    rate = f"{row['pictures_per_second']:.1f}"
    times = f"{row['times_default']:.1f}"
    memory = f"{row['peak_mb']:,.0f} MB"
    return [name, milliseconds, rate, times, agreement, efficiency, memory]


def in_bold_if_ours(contender: str) -> str:
    return f"**{contender}**" if is_ours(contender) else contender


def memory_and_cold_start(memory: Record, cold_start: Record) -> str:
    """Two sentences of one machine; of two, each names its own."""
    (few, few_mb), (many, many_mb) = memory["peak_mb"].items()
    flat = (
        f"memory stays flat: {many_mb:,.0f} MB at its peak over {int(many):,} pictures, {few_mb:,.0f} MB over "
        f"{int(few):,}. Resuming 100,000 finished pictures takes {memory['resume_seconds']:.1f} s."
    )
    from_start, loading = cold_start["ratios"]["from_start"], cold_start["ratios"]["loading"]
    first, later = "resident model", "later run, kept engine"
    ready = (
        f"629 MB model has done its first forward in {from_start[first]:.0%} of the time that a script takes from its "
        "start with `torch.load` of the pickle, in a later run, with the engine that was kept, in "
        f"{from_start[later]:.0%}; once all is imported, in {loading[first]:.0%} and {loading[later]:.0%}."
    )
    at_memory, at_cold_start = machine_of(memory), machine_of(cold_start)
    if at_memory == at_cold_start:
        return f"On {at_memory} {flat} The {ready}"
    return f"On {at_memory} {flat} On {at_cold_start} the {ready}"


def choices(record: Record) -> str:
    """What a picture takes with and without each choice, eager; what compiling and INT8 cost and bring."""
    workloads = record["workloads"]
    variants = next(iter(workloads.values()))["ms_a_picture"]
    rows = []
    for variant in variants:
        milliseconds = [f"{figures['ms_a_picture'][variant]:.1f}" for figures in workloads.values()]
        rows.append([variant, *milliseconds])
    for state, cache in (("cold", "an empty"), ("warm", "a full")):
        seconds = [f"{figures['compiling'][state]['compiling']:.0f} s" for figures in workloads.values()]
        rows.append([f"compiling takes, with {cache} cache", *seconds])
    saved = [f"{share_saved(figures['compiling']['cold']):.0%}" for figures in workloads.values()]
    rows.append(["and saves of the network's time", *saved])
    int8 = [figures["int8"] for figures in workloads.values()]
    rows.append(["making INT8 takes, held to AVX2", *[f"{each['quantising']:.0f} s" for each in int8]])
    judging = [f"{each['judging_in_forwards']:.2f}" for each in int8]
    rows.append(["judging it by a picture takes, in forwards of FP32", *judging])
    rows.append(["and INT8 saves of the network's time", *[f"{each['saved']:.0%}" for each in int8]])
    return on_its_machine(table(["ms a picture", *workloads], rows), choices=record)


def first_picture(record: Record) -> str:
    """Seconds until one picture, and until all, are tagged: a table a workload, under the machine's name."""
    count = record["pictures"]
    headings = ["", "first picture, s", "second process", f"all {count}, s", "second process"]
    tables = []
    for workload, figures in record["workloads"].items():
        rows = []
        for name, processes in figures["seconds"].items():
            first, second = processes["first"], processes["second"]
            seconds = first["first_picture"], second["first_picture"], first["whole"], second["whole"]
            rows.append([in_bold_if_ours(name), *[f"{each:.1f}" for each in seconds]])
        tables.append(f"{TITLES[workload]} · {machine_of(record)}:\n\n{table(headings, rows)}")
    return "\n\n".join(tables)


def trees(record: Record) -> str:
    """This tree beside an older one: a table a workload, under the machine's name."""
    count = record["count"]
    headings = [
        "",
        "ms a picture",
        "× compiled",
        "of what is possible",
        f"{count} pictures, s",
        "× defaults",
        "peak memory",
    ]
    tables = []
    for workload, figures in record["workloads"].items():
        rows = [tree_row(name, way) for name, way in figures["ways"].items()]
        tables.append(f"{TITLES[workload]} · {machine_as_held(record)}:\n\n{table(headings, rows)}")
    return "\n\n".join(tables)


def tree_row(name: str, way: Record) -> list[str]:
    """Medians, and medians of the ratios to the older tree: of its loop compiled, and of its whole run as it comes."""
    faster, sooner, efficiency = "", "", ""
    if way["against"]:
        faster = f"{way['against']['theirs, compiled FP32']['ms'][0]:.2f}"
        sooner = f"{way['against']['theirs, defaults']['seconds'][0]:.2f}"
    if "efficiency" in way:
        efficiency = f"{way['efficiency'][0]:.0%}"
    now = name.startswith("ours")
    called = f"**{name.replace('ours', 'now')}**" if now else name.replace("theirs", "before")
    milliseconds, seconds, memory = (way[key][0] for key in ("ms", "seconds", "peak_mb"))
    return [called, f"{milliseconds:.1f}", faster, efficiency, f"{seconds:.1f}", sooner, f"{memory:,.0f} MB"]


def int8_tags(record: Record) -> str:
    """How many tags on photographs INT8 keeps, and how long the network takes."""
    ways = record["ways"]
    whats = list(next(iter(ways.values()))["same"])
    rows = []
    for name, way in ways.items():
        shares = [f"{share:.1%} ({low:.1%} to {high:.1%})" for share, low, high in way["same"].values()]
        rows.append([f"INT8, {name}", *shares, f"{way['ms']:.1f}", f"{way['fp32_ms']:.1f}"])
    where = f"{record['photographs']} photographs on {machine_as_held(record)}"
    return f"{where}:\n\n{table(['', *whats, 'ms a picture', 'in FP32'], rows)}"


def machine_as_held(record: Record) -> str:
    """The machine of a record that tells whether engines were held to AVX2 on it."""
    return f"{machine_of(record)}, held to AVX2" if record["avx2"] else machine_of(record)


def share_saved(compiling: Record) -> float:
    share: float = 1 - compiling["batch_compiled"] / compiling["batch_eager"]
    return share


def decoders(record: Record) -> str:
    """Pictures a second on a GPU: the network alone, each way to decode alone, and whole runs."""
    workloads = record["workloads"].values()
    first = next(iter(workloads))
    rows = []
    for memory_format in first["network"]:
        rates = [f"{figures['network'][memory_format]:,.0f}" for figures in workloads]
        rows.append([f"the network alone, {memory_format.replace('_', ' ')}", *rates])
    for what, called in (("alone", "decoding alone: {}"), ("runs", "**a run: {}**")):
        for way in first[what]:
            rates = ["{:,.0f} ({:,.0f} to {:,.0f})".format(*figures[what][way]) for figures in workloads]
            rows.append([called.format(way), *rates])
    return on_its_machine(table(["pictures/s", *record["workloads"]], rows), decoders=record)


def scaled_decoding(record: Record) -> str:
    headings = ["", "decoding, ms", "scaled, ms", "gain end to end", "agreement"]
    rows = []
    for workload, figures in record["workloads"].items():
        seconds = figures["decoding"]
        for way, scaled in figures["scaled"].items():
            hits, trials, *_ = scaled["agreement"]
            milliseconds = [f"{1000 * seconds[each]:.1f}" for each in ("full", way)]
            rows.append([f"{workload}, {way}", *milliseconds, f"{scaled['gain']:.1%}", f"{hits / trials:.1%}"])
    return on_its_machine(table(headings, rows), scaled_decoding=record)


def clock(record: Record) -> str:
    """What the stage clock costs, and how its stages add up."""
    headings = ["", "of a picture's time", "run with it / without", "sum of stages / wall"]
    rows = []
    for workload, figures in record["workloads"].items():
        with_clock = spread(figures["with_clock"])
        stages = spread(figures["stages_of_wall"])
        rows.append([workload, f"{figures['share']:.3%}", with_clock, stages])
    return on_its_machine(table(headings, rows), clock=record)


def exports(record: Record) -> str:
    """What exporting many pictures takes, and a night with nothing new."""
    parts = []
    for kinds, figure in record["exports"].items():
        parts.append(f"{kinds.replace(',', ', ')} {figure['seconds']:.0f} s and {figure['peak_mb']:.0f} MB of memory")
    night = f"A night with nothing new takes {record['night_seconds']:.1f} s, the run and its tables together."
    return f"On {machine_of(record)}, of {record['pictures']:,} pictures: {'; '.join(parts)}. {night}"


def gallery(record: Record) -> str:
    """What writing, opening and filtering a gallery of many pictures takes."""
    made = (
        f"{record['seconds']:.1f} s to write, {record['first_seconds']:.0f} s where the small pictures are to be made"
    )
    opened = f"first paint after {record['first_paint_ms']:.0f} ms, a filter {record['filter_ms']:.0f} ms"
    slowest = f"(the slowest {record['slowest_filter_ms']:.0f})"
    return f"On {machine_of(record)}, of {record['pictures']:,} pictures: {made}; in chromium {opened} {slowest}."


def spread(values: Sequence[float]) -> str:
    median, low, high = values
    return f"{median:.3f} ({low:.3f} to {high:.3f})"


def on_its_machine(text: str, **records: Record) -> str:
    """The table under the name of the machine that all its records are of."""
    return f"On {one_machine(records)}:\n\n{text}"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: the first column is words, the others are figures."""
    alignment = ["---", *["---:"] * (len(headings) - 1)]
    lines = [line(headings), line(alignment)]
    for row in rows:
        lines.append(line(row))
    return "\n".join(lines)


def line(cells: Sequence[str]) -> str:
    inner = " | ".join(cells)
    return f"| {inner} |"


if __name__ == "__main__":
    main()
