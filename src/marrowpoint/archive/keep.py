"""What a copy without identity may keep: a closed list, for what nobody thought of must not pass.

PS3.15 Annex E lists what has to go; a list of what may stay is shorter, and safe against private tags, overlays (60xx), curves
(50xx), icons, comments, original attributes, and every attribute that a later edition invents. Only numbers, closed terms and
look-up tables are on it: no free text at all.
"""

from __future__ import annotations

# Numbers: geometry, exposure, display, scale, time within the run. Text in their place is dropped.
NUMBERS = frozenset(
    """
    PositionerPrimaryAngle PositionerSecondaryAngle PositionerPrimaryAngleIncrement PositionerSecondaryAngleIncrement
    PixelSpacing ImagerPixelSpacing ObjectPixelSpacingInCenterOfBeam EstimatedRadiographicMagnificationFactor
    DistanceSourceToDetector DistanceSourceToPatient DistanceSourceToIsocenter PixelAspectRatio IntensifierSize
    FieldOfViewDimensions FieldOfViewRotation
    ShutterLeftVerticalEdge ShutterRightVerticalEdge ShutterUpperHorizontalEdge ShutterLowerHorizontalEdge
    CenterOfCircularShutter RadiusOfCircularShutter VerticesOfThePolygonalShutter
    CollimatorLeftVerticalEdge CollimatorRightVerticalEdge CollimatorUpperHorizontalEdge CollimatorLowerHorizontalEdge
    CenterOfCircularCollimator RadiusOfCircularCollimator VerticesOfThePolygonalCollimator
    KVP XRayTubeCurrent ExposureTime Exposure ImageAndFluoroscopyAreaDoseProduct
    FrameTime FrameTimeVector CineRate RecommendedDisplayFrameRate FrameIncrementPointer FrameDelay
    PixelPaddingValue PixelPaddingRangeLimit RescaleIntercept RescaleSlope WindowCenter WindowWidth
    PixelIntensityRelationshipSign LossyImageCompressionRatio
    MechanicalIndex BoneThermalIndex CranialThermalIndex SoftTissueThermalIndex DepthOfScanField
    RegionSpatialFormat RegionDataType RegionFlags RegionLocationMinX0 RegionLocationMinY0 RegionLocationMaxX1
    RegionLocationMaxY1 ReferencePixelX0 ReferencePixelY0 PhysicalUnitsXDirection PhysicalUnitsYDirection
    ReferencePixelPhysicalValueX ReferencePixelPhysicalValueY PhysicalDeltaX PhysicalDeltaY TransducerFrequency
    LUTDescriptor RedPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableDescriptor
    BluePaletteColorLookupTableDescriptor
    """.split()  # noqa: SIM905
)

# Look-up tables: bytes that turn stored values into grey or colour.
TABLES = frozenset(
    "LUTData RedPaletteColorLookupTableData GreenPaletteColorLookupTableData BluePaletteColorLookupTableData".split()  # noqa: SIM905
)

# Terms: kept only where they are one of these.
TERMS: dict[str, frozenset[str]] = {
    keyword: frozenset(terms.split("/"))
    for keyword, terms in {
        "ImageType": "ORIGINAL/DERIVED/PRIMARY/SECONDARY/SINGLE PLANE/BIPLANE A/BIPLANE B",
        "Modality": "XA/RF/DX/CR/MG/US/OT/XC/DS/DF/SC",
        "Laterality": "L/R/B/U",
        "ImageLaterality": "L/R/B/U",
        "PatientPosition": "HFP/HFS/HFDR/HFDL/FFDR/FFDL/FFP/FFS",
        "PixelSpacingCalibrationType": "GEOMETRY/FIDUCIAL",
        "PositionerMotion": "STATIC/DYNAMIC",
        "PositionerType": "CARM/COLUMN/NONE",
        "ShutterShape": "RECTANGULAR/CIRCULAR/POLYGONAL",
        "CollimatorShape": "RECTANGULAR/CIRCULAR/POLYGONAL",
        "FieldOfViewShape": "RECTANGLE/ROUND/HEXAGONAL",
        "RadiationSetting": "SC/GR",
        "VOILUTFunction": "LINEAR/LINEAR_EXACT/SIGMOID",
        "PresentationLUTShape": "IDENTITY/INVERSE",
        "PixelIntensityRelationship": "LIN/LOG/DISP",
        "LossyImageCompression": "00/01",
        "ConversionType": "DV/DI/DF/WSD/SD/SI/DRW/SYN",
        "PatientSex": "M/F/O",
    }.items()
}

# Sequences that are walked; of their items the same lists hold.
SEQUENCES = frozenset({"SequenceOfUltrasoundRegions", "ModalityLUTSequence"})
# Enhanced objects nest their numbers one floor deeper, under names of their own.
GROUPS = frozenset({"SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"})

# Dates and times that are moved together; each date with its time.
MOMENTS = (
    ("StudyDate", "StudyTime"),
    ("SeriesDate", "SeriesTime"),
    ("AcquisitionDate", "AcquisitionTime"),
    ("ContentDate", "ContentTime"),
)
MOMENT = "AcquisitionDateTime"
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
