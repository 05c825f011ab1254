"""The thresholds as a form; what it saves is the very file that ``--profile`` reads."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from marrowpoint.errors import InvalidProfile
from marrowpoint.review.profiles import ProfileField, ProfileForm, profile_form, save_profile

LARGEST, DECIMALS = 1e6, 4


class ProfilePanel(QWidget):
    """A row a threshold, with its unit and its source."""

    used = Signal(object)
    """A profile was saved and holds from now on."""
    told = Signal(str)

    def __init__(self, path: Path | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._path = path
        self.form: ProfileForm = profile_form(path)
        self.fields: dict[tuple[str, str], QDoubleSpinBox] = {}
        self.name, self.version = QLineEdit(self.form.name), QLineEdit(self.form.version)
        head = QFormLayout()
        head.addRow("name", self.name)
        head.addRow("version", self.version)
        inside = QWidget()
        rows = QVBoxLayout(inside)
        for section in dict.fromkeys(field.section for field in self.form.fields):
            rows.addWidget(self._section(section))
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(inside)
        save = QPushButton("Save as \N{HORIZONTAL ELLIPSIS} and use")
        save.setToolTip("Writes the TOML that analyze, audit and review read with --profile")
        save.clicked.connect(self._ask_path)
        back = QPushButton("Back to the file")
        back.clicked.connect(self.revert)
        buttons = QHBoxLayout()
        buttons.addWidget(save)
        buttons.addWidget(back)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(head)
        layout.addWidget(scroll, 1)
        layout.addLayout(buttons)

    def changed_form(self) -> ProfileForm:
        """The form as it stands on the screen."""
        form = ProfileForm(name=self.name.text().strip(), version=self.version.text().strip(), fields=self.form.fields)
        for (section, name), box in self.fields.items():
            # what nobody touched keeps all its decimals
            if box.isEnabled() and round(form.field(section, name).value, DECIMALS) != round(box.value(), DECIMALS):
                form = form.changed(section, name, box.value())
        return form

    def load(self, path: Path | None) -> None:
        """Show another file's thresholds."""
        self._path, self.form = path, profile_form(path)
        self.revert()

    def save(self, path: Path) -> bool:
        """Write the file and go over to it; tells why not."""
        try:
            profile = save_profile(self.changed_form(), path)
        except InvalidProfile as error:
            self.told.emit(error.text)
            return False
        self._path, self.form = path, profile_form(path)
        self.told.emit(f"Saved {path.name}: {profile.label} holds from now on.")
        self.used.emit(profile)
        return True

    def revert(self) -> None:
        """Show what stands in the file again."""
        self.name.setText(self.form.name)
        self.version.setText(self.form.version)
        known = {(field.section, field.name): field.value for field in self.form.fields}
        for key, box in self.fields.items():
            # a profile from before there was a section leaves it to the program
            box.setEnabled(key in known)
            box.setValue(known.get(key, box.value()))

    def _section(self, section: str) -> QGroupBox:
        box = QGroupBox(section)
        form = QFormLayout(box)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapAllRows)
        for field in self.form.fields:
            if field.section == section:
                form.addRow(QLabel(field.name.replace("_", " ")), self._row(field))
        return box

    def _row(self, field: ProfileField) -> QDoubleSpinBox:
        row = QDoubleSpinBox()
        row.setDecimals(DECIMALS)
        row.setRange(-LARGEST, LARGEST)
        row.setValue(field.value)
        row.setSuffix(f" {field.unit}" if field.unit else "")
        row.setToolTip(field.source)
        row.setKeyboardTracking(False)
        self.fields[field.section, field.name] = row
        return row

    def _ask_path(self) -> None:
        start = str(self._path or "profile.toml")
        chosen, _ = QFileDialog.getSaveFileName(self, "Save the profile", start, "TOML (*.toml)")
        if chosen:
            self.save(Path(chosen))
