"""To and from a real archive (Orthanc, started here), by DIMSE and by DICOMweb, and what is said when it goes wrong."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from build_dicom import PATIENT_ID, PATIENT_NAME, make_dicom
from pydicom import dcmread
from typer.testing import CliRunner

pytest.importorskip("pynetdicom", reason="needs the extra archive")
pytest.importorskip("dicomweb_client", reason="needs the extra archive")

from marrowpoint.archive import dimse, transfer
from marrowpoint.archive.peer import DimsePeer, WebPeer, parse_peer
from marrowpoint.cli import app
from marrowpoint.errors import ArchiveError

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
STUDY = "1.2.826.0.1.3680043.8.498.1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Archive:
    """A running Orthanc."""

    def __init__(self, folder: Path) -> None:
        self.http, self.dicom, self.listen = free_port(), free_port(), free_port()
        config = {
            "StorageDirectory": str(folder), "IndexDirectory": str(folder), "HttpPort": self.http, "DicomPort": self.dicom,
            "DicomAet": "PACS", "DicomCheckCalledAet": True, "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
            "Plugins": [str(PLUGIN)], "DicomModalities": {"us": ["MARROWPOINT", "127.0.0.1", self.listen]},
            "DicomAlwaysAllowFind": True, "DicomAlwaysAllowGet": True,
        }  # fmt: skip
        (folder / "orthanc.json").write_text(json.dumps(config))
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(["Orthanc", str(folder / "orthanc.json")], stdout=self.log, stderr=self.log)
        self.wait()

    def wait(self) -> None:
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/system", timeout=5):
                    return
            except OSError:
                time.sleep(0.1)
        pytest.fail("Orthanc did not start")

    def clear(self) -> None:
        base = f"http://127.0.0.1:{self.http}"
        with urllib.request.urlopen(f"{base}/patients", timeout=20) as answer:
            patients = json.load(answer)
        for each in patients:
            urllib.request.urlopen(urllib.request.Request(f"{base}/patients/{each}", method="DELETE"), timeout=20).close()

    def peer(self, kind: str) -> str:
        return f"http://127.0.0.1:{self.http}/dicom-web" if kind == "web" else f"PACS@127.0.0.1:{self.dicom}"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    if shutil.which("Orthanc") is None or not PLUGIN.exists():
        pytest.skip("Orthanc with its DICOMweb plugin is not installed")
    archive = Archive(tmp_path_factory.mktemp("orthanc"))
    yield archive
    archive.process.terminate()
    archive.process.wait(30)
    archive.log.close()


@pytest.fixture
def archive(running):
    running.clear()
    return running


@pytest.fixture
def folder(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 4096, (48, 64), dtype=np.uint16)
    (tmp_path / "in").mkdir()
    for number in range(4):
        make_dicom(
            tmp_path / "in" / f"{number}.dcm", pixels + number, SOPInstanceUID=f"1.2.826.0.1.3680043.8.498.3.{number}",
            SeriesInstanceUID=f"1.2.826.0.1.3680043.8.498.2.{number % 2}",
        )  # fmt: skip
    compressed = dcmread(tmp_path / "in" / "3.dcm")
    compressed.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
    compressed.save_as(tmp_path / "in" / "3.dcm")
    return tmp_path / "in"


def run(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def pixels_by_uid(folder: Path) -> dict[str, bytes]:
    found = (dcmread(path) for path in folder.rglob("*.dcm"))
    return {str(each.SOPInstanceUID): each.pixel_array.tobytes() for each in found}


@pytest.mark.parametrize("kind", ["dimse", "web"])
def test_what_was_pushed_is_pulled_again_pixel_by_pixel(archive, folder, tmp_path, kind) -> None:
    pushed = run("push", folder, archive.peer(kind))
    assert pushed.exit_code == 0, pushed.output
    assert "4 objects stored and found by a query" in pushed.output
    pulled = run("pull", archive.peer(kind), "--study", STUDY, "--out", tmp_path / "out")
    assert pulled.exit_code == 0, pulled.output
    assert pixels_by_uid(tmp_path / "out") == pixels_by_uid(folder)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.suffix != ".dcm"]
    told = pushed.output + pulled.output + "".join(str(path) for path in (tmp_path / "out").rglob("*"))
    assert PATIENT_ID not in told
    assert PATIENT_NAME.split("^")[0] not in told


@pytest.mark.parametrize("kind", ["dimse", "web"])
def test_a_second_pull_fetches_only_what_is_missing_or_cut_short(archive, folder, tmp_path, kind) -> None:
    run("push", folder, archive.peer("dimse"))
    peer = parse_peer(archive.peer(kind))
    first = transfer.pull(peer, STUDY, tmp_path / "out")
    assert (first.moved, first.present) == (4, 0)
    paths = sorted((tmp_path / "out").rglob("*.dcm"))
    paths[0].unlink()
    paths[1].write_bytes(paths[1].read_bytes()[:-500])
    steps = []
    second = transfer.pull(peer, STUDY, tmp_path / "out", tell=lambda here, of: steps.append((here, of)))
    assert (second.moved, second.present) == (2, 2)
    assert steps[0] == (2, 4)
    assert steps[-1] == (4, 4)
    assert pixels_by_uid(tmp_path / "out") == pixels_by_uid(folder)


def test_by_c_move_the_archive_sends_to_our_port(archive, folder, tmp_path) -> None:
    run("push", folder, archive.peer("dimse"))
    done = run("pull", archive.peer("dimse"), "--study", STUDY, "--out", tmp_path / "out", "--listen", archive.listen)
    assert done.exit_code == 0, done.output
    assert pixels_by_uid(tmp_path / "out") == pixels_by_uid(folder)


@pytest.mark.parametrize("kind", ["dimse", "web"])
def test_studies_are_found_by_patient_and_by_day(archive, folder, kind) -> None:
    run("push", folder, archive.peer("dimse"))
    peer = parse_peer(archive.peer(kind))
    assert transfer.find_studies(peer, PatientID=PATIENT_ID) == [STUDY]
    assert transfer.find_studies(peer, StudyDate="20260101-20260102") == [STUDY]
    assert transfer.find_studies(peer, StudyDate="20250101-20250102") == []


@pytest.mark.parametrize("kind", ["dimse", "web"])
def test_an_unknown_study_is_one_clear_line(archive, tmp_path, kind) -> None:
    done = run("pull", archive.peer(kind), "--study", "1.2.3.4", "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "knows no study" in done.output
    assert len(done.output.splitlines()) == 1


def test_a_wrong_title_is_one_clear_line(archive, folder) -> None:
    done = run("push", folder, f"WRONG@127.0.0.1:{archive.dicom}")
    assert done.exit_code == 1
    # a hurried archive aborts instead of saying so
    assert "its AE title is another" in done.output or "broke the association off" in done.output
    assert len(done.output.splitlines()) == 1


def test_echo_answers(archive) -> None:
    dimse.echo(parse_peer(archive.peer("dimse")))


def test_a_web_address_without_the_service_is_one_clear_line(archive, folder) -> None:
    done = run("push", folder, f"http://127.0.0.1:{archive.http}/nothing")
    assert done.exit_code == 1
    assert "refuses" in done.output
    assert len(done.output.splitlines()) == 1


@pytest.mark.parametrize("address", ["PACS@127.0.0.1:{}", "http://127.0.0.1:{}/dicom-web"])
def test_nobody_there_is_one_clear_line(folder, address) -> None:
    done = run("push", folder, address.format(free_port()))
    assert done.exit_code == 1
    assert "cannot be reached" in done.output
    assert len(done.output.splitlines()) == 1


def test_an_object_said_to_be_stored_but_not_found_is_an_error(folder, monkeypatch) -> None:
    monkeypatch.setattr(dimse, "send", lambda peer, files, tell: [tell() for _ in files])
    monkeypatch.setattr(dimse, "instances_of", lambda peer, study: [("1", "1.2.826.0.1.3680043.8.498.3.0", "1")])
    peer = DimsePeer(title="X", host="h", port=1)
    with pytest.raises(ArchiveError, match="took 3 of 4"):
        transfer.push(peer, sorted(folder.glob("*.dcm")))


def test_what_does_not_arrive_is_said_and_what_did_is_kept(folder, tmp_path, monkeypatch) -> None:
    files = sorted(folder.glob("*.dcm"))
    listed = [("1.1", f"1.2.826.0.1.3680043.8.498.3.{number}", "1") for number in range(4)]

    def half(peer, study, wanted, keep) -> None:
        for number in range(2):
            keep(listed[number][1], files[number].read_bytes())

    monkeypatch.setattr(dimse, "instances_of", lambda peer, study: listed)
    monkeypatch.setattr(dimse, "get", half)
    with pytest.raises(ArchiveError, match="2 of 4 instances"):
        transfer.pull(DimsePeer(title="X", host="h", port=1), STUDY, tmp_path / "out")
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 2


@pytest.mark.parametrize("uid", ["../../evil", "", "1.2/3", "..", "1" * 65])
def test_a_hostile_uid_names_no_file(tmp_path, monkeypatch, uid) -> None:
    monkeypatch.setattr(dimse, "instances_of", lambda peer, study: [("1.1", uid, "1")])
    with pytest.raises(ArchiveError, match="no UID"):
        transfer.pull(DimsePeer(title="X", host="h", port=1), STUDY, tmp_path / "out")


def test_addresses_are_read_and_passwords_in_them_refused() -> None:
    assert parse_peer("PACS@host:104", listen_port=11112) == DimsePeer(title="PACS", host="host", port=104, listen_port=11112)
    told = {"MARROWPOINT_DICOMWEB_USER": "me", "MARROWPOINT_DICOMWEB_PASSWORD": "hidden"}
    web = parse_peer("https://host/dicom-web/", environment=told)
    assert web == WebPeer(url="https://host/dicom-web", user=("me", "hidden"))
    assert "hidden" not in repr(web)
    for text in ("host:104", "PACS@host", "PACS@host:0", "PACS@host:99999", "A" * 17 + "@host:1", "http://", "ftp://x"):
        with pytest.raises(ArchiveError):
            parse_peer(text)
    with pytest.raises(ArchiveError, match="password") as caught:
        parse_peer("https://me:hidden@host/")
    assert "hidden" not in caught.value.text
