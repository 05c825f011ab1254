"""Results as DICOM objects, to and from an archive, and copies of frames without identity.

Needs the extra ``archive`` (highdicom, pynetdicom, dicomweb-client) but for the export; nothing else in the package imports it.
"""
