"""Review of saved frames by a person: what they corrected, what they decided, and a book of it that nobody can rewrite.

No window lives here: the viewer's plugin calls these functions and draws what they return.

- `entry`       nouns of the ledger: `Action`, `FrameKey`, `Entry`; `stale_because`, `standing`
- `ledger`      append-only SQLite file of decisions: `place_ledger`, `open_ledger`, `read_entries`
- `corrections` noun `Corrections`: what a person set, by whom and when, as JSON and back
- `correct`     `reassess(base, corrections, profile, quick=False)`: measured and judged anew, in milliseconds
- `livewire`    `edge_cost`, `snap_path`, `nearest_edge`, and editing an outline's points
- `journal`     undo, redo and restore of corrections, safe against a crash: `open_journal`
- `session`     the frames of a folder with their states; next, previous, partner: `Session`
- `worker`      `analyse_frames`: the analysis as a generator for a background thread, with a cache on disk
- `cache`       `AssessmentCache`: assessments on disk by pixels, program, profile and model
- `profiles`    a profile as form fields, and back to the TOML that ``--profile`` reads
- `export`      `reviewed_record`: a frame's record with corrections and reviews
- `launch`      `ReviewRequest`, what the command line hands to the viewer

**How the command line and the viewer meet.** ``marrowpoint review [FOLDER] [--ledger FILE] [--profile FILE] [--rater NAME]``
imports the module ``napari_marrowpoint.launch`` by name (the core may not know a screen) and calls
``launch(request: marrowpoint.review.launch.ReviewRequest) -> int``, which opens the window, runs napari until it is closed and
returns the exit status. Where napari was started some other way the plugin builds the request itself with
`launch.request_from_environment`: ``MARROWPOINT_LEDGER``, ``MARROWPOINT_PROFILE`` and ``MARROWPOINT_RATER`` are its defaults.

**One drag, step by step.** While the mouse moves: ``reassess(base, corrections.changed(by=rater, tip=...), profile,
quick=True)`` and draw it; nothing is recorded. On release: the same with ``quick=False``, and ``journal.record`` the
corrections. ``base`` is always the program's own assessment (``worker.assess_row``), never a corrected one, so that undo is
exact. A person edits ``corrections.outline`` where it is set, else a copy of ``base.cortex.lines``; never the lines that came
back, which leave out what only follows the edge of the field. A new outline is drawn closed.

**One decision, step by step.** ``entry.decide(base, action, rater=..., corrected=..., corrections=..., reason=...)``, then
``session.decide(place, entry)``, then ``journal.settle(key)``.
"""

from marrowpoint.review.correct import reassess
from marrowpoint.review.corrections import Corrections
from marrowpoint.review.entry import Action, Entry, FrameKey, stale_because, standing
from marrowpoint.review.ledger import Ledger, open_ledger, place_ledger, read_entries

__all__ = [
    "Action",
    "Corrections",
    "Entry",
    "FrameKey",
    "Ledger",
    "open_ledger",
    "place_ledger",
    "read_entries",
    "reassess",
    "stale_because",
    "standing",
]
