"""The charts of the report: what is counted in each, and how it is named."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from marrowpoint.audit.agreement import ReaderStudy
from marrowpoint.audit.charts import Part, bland_altman, histogram, plain_rows, stacked_rows
from marrowpoint.audit.charts_share import Group, funnel, run_chart
from marrowpoint.audit.drawing import BLUE, FAILED, FAINT, PASSED, UNKNOWN, WARNED, Drawing
from marrowpoint.audit.facts import FrameFacts, PositionFacts, ProcedureFacts
from marrowpoint.audit.findings import Finding, Outcome
from marrowpoint.audit.rules import RULES
from marrowpoint.audit.rules_placement import harvest_positions
from marrowpoint.frame import SpacingSource
from marrowpoint.measurement import Bound, Unit
from marrowpoint.profile import Profile
from marrowpoint.report.words import SCALE_WORDS
from marrowpoint.verdict import Code, Severity

UNDATED, NO_ROLE = "no date", "role not stated"
OUTCOMES = (
    Part(name="fail", colour=FAILED),
    Part(name="warn", colour=WARNED),
    Part(name="not assessable", colour=UNKNOWN, hatched=True),
    Part(name="pass", colour=PASSED),
    Part(name="does not apply", colour=FAINT),
)
ORDER = (Outcome.FAIL, Outcome.WARN, Outcome.NOT_ASSESSABLE, Outcome.PASS)
SEVERITIES = (
    Part(name="wrong spot", colour=FAILED),
    Part(name="caution", colour=WARNED),
    Part(name="cannot be told", colour=UNKNOWN, hatched=True),
    Part(name="consistent with the right spot", colour=PASSED),
)
SEVERITY_ORDER = (Severity.PROBLEM, Severity.CAUTION, Severity.UNKNOWN, Severity.GOOD)


SHORT_SCALES = {source.value: text for source, text in SCALE_WORDS.items()} | {
    SpacingSource.INSTRUMENT.value: "needle or ruler in the picture",
    SpacingSource.MAGNIFICATION.value: "detector, magnification",
    SpacingSource.DETECTOR_PLANE.value: "detector plane (too large)",
    SpacingSource.NONE.value: "none: pixels only",
}
# First reasons that are named after what was measured; all others say it themselves.
REASON_WORDS = {
    "low_confidence_bone": "outline of the bone uncertain",
    "low_confidence_needle": "needle uncertain",
    "too_uncertain": "length too uncertain",
    "bone_thickness": "thin or thick bone: undecided",
    "tip_to_cortex": "inside or outside: undecided",
    "no_needle": "no needle found",
    "no_bone": "no bone found",
    "no_spacing": "no scale",
}
Placed = Sequence[tuple[ProcedureFacts, PositionFacts]]


def is_silent(frame: FrameFacts) -> bool:
    """Whether a frame got no answer."""
    return frame.verdict.severity is Severity.UNKNOWN


def draw_rules(findings: Sequence[Finding], total: int) -> Drawing:
    """How often each rule passed, warned, failed, could not be asked, did not apply."""
    counts: defaultdict[str, Counter[Outcome]] = defaultdict(Counter)
    for finding in findings:
        if finding.site is None:
            counts[finding.rule][finding.outcome] += 1
    rows = []
    for rule in RULES:
        told = [counts[rule.name][outcome] for outcome in ORDER]
        rows.append((f"{rule.name} {rule.title}", [*told, total - sum(told)]))
    note = f"Each rule was asked of {total} procedures; those it does not apply to are grey."
    return stacked_rows("The rules at a glance", note, OUTCOMES, rows)


def _months(placed: Placed) -> dict[str, list[PositionFacts]]:
    found: defaultdict[str, list[PositionFacts]] = defaultdict(list)
    for _, position in placed:
        dates = [frame.acquired for frame in position.frames if frame.acquired is not None]
        found[f"{min(dates):%Y-%m}" if dates else UNDATED].append(position)
    return dict(sorted(found.items(), key=lambda item: (item[0] == UNDATED, item[0])))


def _roles(placed: Placed) -> dict[str, list[PositionFacts]]:
    found: defaultdict[str, list[PositionFacts]] = defaultdict(list)
    for procedure, position in placed:
        own = {row.operator_role for row in position.rows} - {""}
        found[own.pop() if len(own) == 1 else procedure.operator_role or NO_ROLE].append(position)
    return dict(sorted(found.items(), key=lambda item: (item[0] == NO_ROLE, -len(item[1]), item[0])))


def _stack(named: dict[str, list[PositionFacts]]) -> list[tuple[str, list[int]]]:
    counts = {name: Counter(position.verdict.severity for position in held) for name, held in named.items()}
    return [(name, [counter[severity] for severity in SEVERITY_ORDER]) for name, counter in counts.items()]


def _groups(named: dict[str, list[PositionFacts]], severity: Severity) -> list[Group]:
    return [
        Group(name=n, count=sum(p.verdict.severity is severity for p in held), total=len(held)) for n, held in named.items()
    ]


WHAT = {Severity.PROBLEM: "Wrong spot", Severity.UNKNOWN: "Cannot be told"}


def draw_months(placed: Placed) -> Drawing:
    """Verdicts of the imaged sites by month."""
    note = "Imaged sites of the harvest by the month of their pictures."
    return stacked_rows("Where the tips were, by month", note, SEVERITIES, _stack(_months(placed)))


def draw_run(placed: Placed, severity: Severity) -> Drawing:
    """Share of the imaged sites with one kind of verdict, month by month."""
    groups = [group for group in _groups(_months(placed), severity) if group.name != UNDATED]
    note = (
        "Share of all imaged sites. Grey: all months together. Dashed: by chance alone 99.8 % of months lie between; "
        "a month outside is large and red."
    )
    return run_chart(f"{WHAT[severity]}, month by month", note, groups)


def draw_roles(placed: Placed) -> Drawing:
    """Verdicts of the imaged sites by the role of the operator."""
    note = "Imaged sites by the role of the operator on the sheet."
    return stacked_rows("Where the tips were, by operator role", note, SEVERITIES, _stack(_roles(placed)))


def draw_funnel(placed: Placed, severity: Severity) -> Drawing:
    """Share of the imaged sites with one kind of verdict over the number of sites of a role."""
    note = (
        "Share of all imaged sites, over how many a role has. Between the lines (95 % dashed, 99.8 % full) chance alone "
        "explains the difference. Cases differ between roles: this ranks nobody."
    )
    return funnel(f"{WHAT[severity]}, by operator role", note, _groups(_roles(placed), severity))


def draw_distances(frames: Sequence[FrameFacts]) -> Drawing:
    """Distribution of the distance from tip to cortex."""
    found: dict[str, list[float]] = {"told": [], "silent": []}
    for frame in frames:
        length = frame.measurements.get("tip_to_cortex")
        if length is not None and length.unit is Unit.MM:
            found["silent" if is_silent(frame) else "told"].append(length.value)
    parts = (Part(name="frames with a verdict", colour=BLUE), Part(name="no verdict given", colour=UNKNOWN, hatched=True))
    note = (
        f"{sum(map(len, found.values()))} of {len(frames)} frames have this length in mm. Positive is inside the outline. "
        "One projection bounds the true distance on one side only."
    )
    return histogram("Tip to cortex in the picture", note, parts, (found["told"], found["silent"]), [(0.0, "cortex")], "mm")


def draw_thickness(procedures: Sequence[ProcedureFacts], profile: Profile) -> Drawing:
    """Distribution of the bone thickness at the tip."""
    values: dict[bool, list[float]] = {True: [], False: []}
    total = 0
    for procedure in procedures:
        for position in harvest_positions(procedure):
            total += 1
            of_frames = (frame.measurements.get("bone_thickness") for frame in position.frames)
            lengths = [length for length in (position.bone_thickness, *of_frames) if length is not None]
            told = next((length for length in lengths if length.unit is Unit.MM), None)
            if told is not None:
                values[told.bound is Bound.ESTIMATE].append(told.value)
    parts = (Part(name="estimate", colour=BLUE), Part(name="bound only", colour=WARNED, hatched=True))
    limits = [(profile.verdict.thin_below_mm, "thin below"), (profile.verdict.thick_from_mm, "thick from")]
    note = f"Bone at the tip, outer to outer: known for {len(values[True]) + len(values[False])} of {total} imaged sites."
    return histogram("Bone thickness at the tip", note, parts, (values[True], values[False]), limits, "mm")


def draw_silent(frames: Sequence[FrameFacts]) -> Drawing:
    """First reasons of the frames without an answer."""
    silent = [frame for frame in frames if is_silent(frame)]
    reasons = Counter(
        REASON_WORDS.get(frame.verdict.reasons[0].code, frame.verdict.reasons[0].code.replace("_", " "))
        if frame.verdict.reasons
        else "undecided between two verdicts"
        if frame.verdict.code is Code.INDETERMINATE
        else "no reason recorded"
        for frame in silent
    )
    note = f"First reason of each of {len(silent)} of {len(frames)} frames without an answer."
    return plain_rows("No answer: why", note, reasons.most_common(), len(silent), UNKNOWN)


def draw_scales(frames: Sequence[FrameFacts]) -> Drawing:
    """Rungs of the scale ladder in use."""
    methods = Counter(frame.scale for frame in frames)
    rows = [(SHORT_SCALES.get(method, method), count) for method, count in methods.most_common()]
    note = f"Scale in use in {len(frames)} frames."
    return plain_rows("Where the millimetres come from", note, rows, len(frames))


def draw_readers(study: ReaderStudy | None) -> tuple[Drawing, ...]:
    """Verdicts and lengths of readers beside those of the program; nothing without a reading."""
    if study is None:
        return ()
    both = Counter(study.verdicts)
    named = {pair: f"both {pair[0]}" if pair[0] == pair[1] else " / ".join(pair) for pair in both}
    rows = [(named[pair].replace("_", " "), count) for pair, count in both.most_common(12)]
    note = "Program / reader. Readers saw the program's answer first: this is agreement, not accuracy, and rather too good."
    charts = [plain_rows("Verdicts, program and reader", note, rows, len(study.verdicts))]
    if study.agreement is not None:
        told = f"Tip to cortex, program minus reader, {study.agreement.count} frames; shaded: 95 % intervals."
        charts.append(bland_altman("Lengths, program and reader", told, study.lengths_mm, study.agreement))
    return tuple(charts)
