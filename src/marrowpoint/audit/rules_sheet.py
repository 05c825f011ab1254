"""Rules about what the operator's sheet states: volumes, sites, needles, events and times (A04 to A09, A16, A29, A30)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from marrowpoint.audit.facts import REINJECTION, ProcedureFacts
from marrowpoint.audit.findings import Answer, Outcome, worst
from marrowpoint.audit.gather import entry_moment, entry_moments
from marrowpoint.audit.limits import limits_of
from marrowpoint.case import Site
from marrowpoint.profile import Profile

NO_ROWS = "The sheet says nothing of this study"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A site of the harvest, its rows put together.

    Parameters
    ----------
    label : str
        The operator's name of it, or its row.
    rows : tuple of Site
    """

    label: str
    rows: tuple[Site, ...]

    @property
    def volume_ml(self) -> float | None:
        """What was drawn here in all [ml]; None where a row does not say."""
        volumes = [row.volume_ml for row in self.rows]
        return None if None in volumes else sum(volume for volume in volumes if volume is not None)


def drawn_sites(procedure: ProcedureFacts) -> tuple[Drawn, ...]:
    """Sites of the harvest: rows with one name and one side are one site, a row without a name is its own."""
    rows: defaultdict[str, list[Site]] = defaultdict(list)
    names = {(row.site, row.side) for row in procedure.harvest_sites if row.site}
    on_both_sides = {name for name, _ in names if sum(other == name for other, _ in names) > 1}
    for number, row in enumerate(procedure.harvest_sites, start=1):
        label = row.site or f"row {number}"
        rows[f"{label} {row.side}" if row.site in on_both_sides else label].append(row)
    return tuple(Drawn(label=label, rows=tuple(held)) for label, held in rows.items())


def volume_per_site(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A04."""
    limits, sites = limits_of(profile), drawn_sites(procedure)
    if not sites:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=f"{NO_ROWS}: no volumes.")
        return
    answers = []
    for site in sites:
        volume = site.volume_ml
        if volume is None:
            outcome, sentence = Outcome.NOT_ASSESSABLE, "No volume is stated for this site."
        elif volume >= limits.site_wrong_ml:
            outcome, sentence = Outcome.FAIL, f"{volume:g} ml from one site; {limits.site_wrong_ml:g} ml or more is too much."
        elif volume > limits.site_ml:
            outcome, sentence = Outcome.WARN, f"{volume:g} ml from one site; more than {limits.site_ml:g} ml."
        else:
            outcome, sentence = Outcome.PASS, f"{volume:g} ml from one site."
        answers.append(Answer(outcome=outcome, sentence=sentence, site=site.label))
    known = [volume for site in sites if (volume := site.volume_ml) is not None]
    most = f"at most {max(known):g} ml from one site" if known else "no volume is known"
    yield Answer(
        outcome=worst(answer.outcome for answer in answers),
        sentence=f"Volumes are stated for {len(known)} of {len(sites)} sites; {most}.",
    )
    yield from answers


def number_of_sites(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A05."""
    limits, count = limits_of(profile), len(drawn_sites(procedure))
    wanted = f"{limits.sites_from:g} to {limits.sites_up_to:g} are asked for"
    if count == 0:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=f"{NO_ROWS}: the number of sites is unknown.")
    elif count <= limits.sites_too_few:
        yield Answer(outcome=Outcome.FAIL, sentence=f"The sheet lists {_sites(count)}; {wanted}.")
    elif limits.sites_from <= count <= limits.sites_up_to:
        yield Answer(outcome=Outcome.PASS, sentence=f"The sheet lists {_sites(count)}.")
    else:
        yield Answer(outcome=Outcome.WARN, sentence=f"The sheet lists {_sites(count)}; {wanted}.")


def volumes_add_up(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A06."""
    limits, sites = limits_of(profile), drawn_sites(procedure)
    stated = {row.total_ml for row in procedure.sites} - {None}
    volumes = [site.volume_ml for site in sites]
    if not sites:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=f"{NO_ROWS}: nothing to add up.")
        return
    if len(stated) > 1:
        values = " and ".join(f"{value:g}" for value in sorted(value for value in stated if value is not None))
        yield Answer(outcome=Outcome.FAIL, sentence=f"The sheet states different totals: {values} ml.")
        return
    if not stated or None in volumes:
        missing = "total" if not stated else "volume of every site"
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=f"The sheet does not state the {missing}: nothing to compare.")
        return
    total, summed = stated.pop() or 0.0, sum(volume for volume in volumes if volume is not None)
    allowed = max(limits.total_tolerance_ml, limits.total_tolerance_share * total)
    fits = abs(summed - total) <= allowed + 1e-9
    sentence = f"The sites add up to {summed:g} ml, {total:g} ml are stated as the total" + (
        "." if fits else ": they do not agree."
    )
    yield Answer(outcome=Outcome.PASS if fits else Outcome.FAIL, sentence=sentence)


def total_volume(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A07."""
    limits, sites = limits_of(profile), drawn_sites(procedure)
    stated = [row.total_ml for row in procedure.sites if row.total_ml is not None]
    volumes = [site.volume_ml for site in sites]
    if not sites:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=f"{NO_ROWS}: the volume is unknown.")
        return
    known = [volume for volume in volumes if volume is not None]
    if not stated and len(known) < len(volumes):
        part = f"volumes of {len(known)} of {len(volumes)} sites" if known else "no volume"
        yield Answer(outcome=Outcome.FAIL, sentence=f"The sheet states {part} and no total.")
        return
    total = stated[0] if stated else sum(known)
    near = limits.total_from_ml <= total <= limits.total_up_to_ml
    band = "" if near else f"; {limits.total_from_ml:g} to {limits.total_up_to_ml:g} ml are usual"
    yield Answer(outcome=Outcome.PASS if near else Outcome.WARN, sentence=f"{total:g} ml in all{band}.")


def syringe_size(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A08."""
    limits, rows = limits_of(profile), procedure.harvest_sites
    sizes = [row.syringe_ml for row in rows if row.syringe_ml is not None]
    if not sizes:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence="The sheet states no syringe size.")
        return
    largest = max(sizes)
    told = f"Largest syringe {largest:g} ml, stated for {len(sizes)} of {len(rows)} rows"
    if largest >= limits.syringe_wrong_ml:
        yield Answer(outcome=Outcome.FAIL, sentence=f"{told}; {limits.syringe_wrong_ml:g} ml or more dilutes.")
    elif largest > limits.syringe_ml:
        yield Answer(outcome=Outcome.WARN, sentence=f"{told}; more than {limits.syringe_ml:g} ml.")
    elif len(sizes) < len(rows):
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=f"{told}.")
    else:
        yield Answer(outcome=Outcome.PASS, sentence=f"{told}.")


def meaning_of_site(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A09."""
    rows = procedure.harvest_sites
    kinds = sorted({row.site_kind for row in rows if row.site_kind})
    silent = sum(not row.site_kind for row in rows)
    if not rows:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=f"{NO_ROWS}.")
    elif silent:
        text = f"{silent} of {len(rows)} rows do not state what counts as a site (entry, trajectory or level)."
        yield Answer(outcome=Outcome.FAIL, sentence=text)
    else:
        yield Answer(outcome=Outcome.PASS, sentence=f"A site is stated to be: {', '.join(kinds)}.")


def needle_diameter(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A16."""
    rows = procedure.harvest_sites
    if not rows:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=f"{NO_ROWS}: the needle is unknown.")
        return
    silent = sum(row.needle_od_mm is None for row in rows)
    by_gauge = sorted({row.needle for row in rows if re.fullmatch(r"\d+\s*[Gg]", row.needle.strip())})
    if silent:
        yield Answer(outcome=Outcome.FAIL, sentence=f"{silent} of {len(rows)} rows name no needle: its width gives no scale.")
    elif by_gauge:
        text = f"The needle is given as a gauge only ({', '.join(by_gauge)}): a gauge is no length, state millimetres."
        yield Answer(outcome=Outcome.WARN, sentence=text)
    else:
        yield Answer(outcome=Outcome.PASS, sentence="The needle's outer diameter is stated in millimetres.")


def adverse_event(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A29: whether the field is filled, never what stands in it; it may name a person."""
    if not procedure.sites:
        yield Answer(outcome=Outcome.NOT_ASSESSABLE, sentence=f"{NO_ROWS}.")
        return
    said = {row.adverse_event.strip().lower() for row in procedure.sites} - {""}
    if not said:
        yield Answer(outcome=Outcome.WARN, sentence="The sheet does not say whether an adverse event happened.")
    elif said <= {"none", "no"}:
        yield Answer(outcome=Outcome.PASS, sentence="The sheet states that no adverse event happened.")
    else:
        yield Answer(outcome=Outcome.PASS, sentence="The sheet states an adverse event: see the sheet.")


def harvest_first(procedure: ProcedureFacts, profile: Profile) -> Iterator[Answer]:
    """A30; does not apply where the sheet lists no re-injection."""
    if not procedure.reinjection_sites:
        return
    ordered = (*procedure.harvest_sites, *procedure.reinjection_sites)
    timed = [row for row in ordered if entry_moment(row.entry_time) is not None]
    moments = list(zip(timed, entry_moments(timed), strict=True))
    harvest = [entered for row, entered in moments if row.phase != REINJECTION]
    back = [entered for row, entered in moments if row.phase == REINJECTION]
    if not harvest or not back:
        missing = "harvest" if not harvest else "re-injection"
        yield Answer(outcome=Outcome.WARN, sentence=f"No entry time of the {missing}: the order is not documented.")
    elif max(harvest) < min(back):
        text = f"Harvest from {min(harvest):%H:%M}, re-injection from {min(back):%H:%M}."
        yield Answer(outcome=Outcome.PASS, sentence=text)
    else:
        text = f"Re-injection at {min(back):%H:%M} stands before the end of the harvest ({max(harvest):%H:%M})."
        yield Answer(outcome=Outcome.FAIL, sentence=text)


def _sites(count: int) -> str:
    return f"{count} site{'' if count == 1 else 's'}"
