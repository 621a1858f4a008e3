"""What a file is: by its bytes where they say so, else by its name and by what its sender says; and how people call it.

The one place that looks at how files begin. Pure functions that look at the bytes and take nothing apart; any thread.
Imported by the attachments, the file skills and the planner.
"""

import mimetypes
import re

from callboard.agent.documents.charsets import is_text
from callboard.agent.documents.reading import PDF, WORKBOOKS, XLSX, is_textual

IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
"""The pictures that models take."""

UNKNOWN = "application/octet-stream"
ZIP = "application/zip"
LOCKED = "application/encrypted"
"""An Office file with a password: what is in it cannot be told."""
OLD_OFFICE = "application/x-ole-storage"

_OFFICE = "application/vnd.openxmlformats-officedocument."
_OASIS = "application/vnd.oasis.opendocument."
_AS_TEXT, _AS_TABLE = "save it as PDF or as text", "save it as XLSX or CSV"
_AS_PICTURE, _UNPACKED = "save it as PNG or JPEG", "unpack it, and attach the files in it"
_EXPORTED, _SAID = "write its data as CSV", "attach what is said in it as text"

_WORDS = {
    PDF: ("a PDF (.pdf)", ""),
    XLSX: ("an Excel workbook (.xlsx)", ""),
    "application/vnd.ms-excel.sheet.macroenabled.12": ("an Excel workbook with macros (.xlsm)", ""),
    "image/png": ("a PNG picture (.png)", ""),
    "image/jpeg": ("a JPEG picture (.jpg)", ""),
    "image/gif": ("a GIF picture (.gif)", ""),
    "image/webp": ("a WebP picture (.webp)", ""),
    "application/vnd.ms-excel": ("an old Excel workbook (.xls)", _AS_TABLE),
    "application/vnd.ms-excel.sheet.binary.macroenabled.12": ("a binary Excel workbook (.xlsb)", _AS_TABLE),
    f"{_OASIS}spreadsheet": ("an OpenDocument spreadsheet (.ods)", _AS_TABLE),
    "application/vnd.apple.numbers": ("a Numbers spreadsheet (.numbers)", _AS_TABLE),
    f"{_OFFICE}wordprocessingml.document": ("a Word document (.docx)", _AS_TEXT),
    "application/msword": ("an old Word document (.doc)", _AS_TEXT),
    f"{_OASIS}text": ("an OpenDocument text (.odt)", _AS_TEXT),
    "application/vnd.apple.pages": ("a Pages document (.pages)", _AS_TEXT),
    "application/epub+zip": ("an e-book (.epub)", _AS_TEXT),
    "application/vnd.ms-outlook": ("an Outlook message (.msg)", _AS_TEXT),
    f"{_OFFICE}presentationml.presentation": ("a PowerPoint presentation (.pptx)", _AS_TEXT),
    "application/vnd.ms-powerpoint": ("an old PowerPoint presentation (.ppt)", _AS_TEXT),
    f"{_OASIS}presentation": ("an OpenDocument presentation (.odp)", _AS_TEXT),
    "application/vnd.apple.keynote": ("a Keynote presentation", _AS_TEXT),
    LOCKED: ("a workbook or document with a password", "save it without one"),
    OLD_OFFICE: ("a file of an old Office format (.xls, .doc, .ppt)", "save it as XLSX, CSV or PDF"),
    ZIP: ("a zip archive (.zip)", _UNPACKED),
    "application/gzip": ("a gzip archive (.gz)", _UNPACKED),
    "application/x-tar": ("a tar archive (.tar)", _UNPACKED),
    "application/x-bzip2": ("a bzip2 archive (.bz2)", _UNPACKED),
    "application/x-xz": ("an xz archive (.xz)", _UNPACKED),
    "application/zstd": ("a Zstandard archive (.zst)", _UNPACKED),
    "application/x-7z-compressed": ("a 7-Zip archive (.7z)", _UNPACKED),
    "application/vnd.rar": ("a RAR archive (.rar)", _UNPACKED),
    "application/java-archive": ("a Java archive (.jar)", _UNPACKED),
    "application/vnd.apache.parquet": ("a Parquet file (.parquet)", _EXPORTED),
    "application/vnd.apache.arrow.file": ("an Arrow file (.arrow, .feather)", _EXPORTED),
    "application/vnd.sqlite3": ("an SQLite database (.sqlite)", _EXPORTED),
    "application/x-hdf5": ("an HDF5 file (.h5)", _EXPORTED),
    "application/x-numpy": ("a NumPy array (.npy)", _EXPORTED),
    "application/vnd.ms-access": ("an Access database (.mdb, .accdb)", _EXPORTED),
    "image/bmp": ("a bitmap (.bmp)", _AS_PICTURE),
    "image/tiff": ("a TIFF picture (.tiff)", _AS_PICTURE),
    "image/heic": ("a HEIC picture (.heic)", _AS_PICTURE),
    "image/avif": ("an AVIF picture (.avif)", _AS_PICTURE),
    "image/vnd.microsoft.icon": ("an icon (.ico)", _AS_PICTURE),
    "image/vnd.adobe.photoshop": ("a Photoshop picture (.psd)", _AS_PICTURE),
    "audio/mpeg": ("a sound file (.mp3)", _SAID),
    "audio/wav": ("a sound file (.wav)", _SAID),
    "audio/ogg": ("a sound file (.ogg)", _SAID),
    "audio/flac": ("a sound file (.flac)", _SAID),
    "audio/mp4": ("a sound file (.m4a)", _SAID),
    "video/mp4": ("a film (.mp4)", _SAID),
    "video/quicktime": ("a film (.mov)", _SAID),
    "video/webm": ("a film (.webm, .mkv)", _SAID),
    "video/x-msvideo": ("a film (.avi)", _SAID),
    "application/vnd.microsoft.portable-executable": ("a program for Windows (.exe)", ""),
    "application/x-executable": ("a program for Linux", ""),
}
"""What people call a file of a type, with its usual endings, and what to do where it cannot be read."""

_TEXT_ENDINGS = {
    "csv": "text/csv", "tsv": "text/tab-separated-values", "tab": "text/tab-separated-values", "txt": "text/plain",
    "text": "text/plain", "log": "text/plain", "md": "text/markdown", "markdown": "text/markdown", "rst": "text/x-rst",
    "json": "application/json", "jsonl": "application/x-ndjson", "ndjson": "application/x-ndjson", "geojson": "application/geo+json",
    "ipynb": "application/x-ipynb+json", "yaml": "application/yaml", "yml": "application/yaml", "toml": "application/toml",
    "ini": "text/plain", "cfg": "text/plain", "conf": "text/plain", "env": "text/plain", "properties": "text/plain",
    "xml": "application/xml", "svg": "application/xml", "html": "text/html", "htm": "text/html", "css": "text/css",
    "js": "text/javascript", "mjs": "text/javascript", "ts": "text/x-typescript", "py": "text/x-python", "sql": "application/sql",
    "sh": "text/x-shellscript", "c": "text/x-c", "h": "text/x-c", "java": "text/x-java", "go": "text/x-go", "rs": "text/x-rust",
    "diff": "text/x-diff", "patch": "text/x-diff", "tex": "text/x-tex", "srt": "text/plain", "vtt": "text/vtt",
    "ics": "text/calendar", "vcf": "text/vcard", "rtf": "application/rtf", "eml": "text/plain",
}  # fmt: skip
_OTHER_ENDINGS = {
    "jpeg": "image/jpeg", "tif": "image/tiff", "heif": "image/heic", "feather": "application/vnd.apache.arrow.file",
    "db": "application/vnd.sqlite3", "sqlite3": "application/vnd.sqlite3", "tgz": "application/gzip", "zstd": "application/zstd",
    "accdb": "application/vnd.ms-access", "mdb": "application/vnd.ms-access", "mkv": "video/webm", "exe": "application/vnd.microsoft.portable-executable",
}  # fmt: skip
_ENDINGS = {
    **{ending: kind for kind, (words, _) in _WORDS.items() for ending in re.findall(r"\.(\w+)", words) if kind != OLD_OFFICE},
    **_TEXT_ENDINGS,
    **_OTHER_ENDINGS,
}  # fmt: skip
_LESS_KNOWN = mimetypes.MimeTypes()  # Python's own table: that of the machine, /etc/mime.types, is another on each

_MARKS = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"BM", "image/bmp"),
    (0, b"\0\0\1\0", "image/vnd.microsoft.icon"),
    (0, b"8BPS", "image/vnd.adobe.photoshop"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypheix", "image/heic"),
    (4, b"ftypmif1", "image/heic"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (8, b"AVI ", "video/x-msvideo"),
    (8, b"WAVE", "audio/wav"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (257, b"ustar", "application/x-tar"),
    (0, b"PAR1", "application/vnd.apache.parquet"),
    (0, b"ARROW1\0\0", "application/vnd.apache.arrow.file"),
    (0, b"FEA1", "application/vnd.apache.arrow.file"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3"),
    (0, b"\x89HDF\r\n\x1a\n", "application/x-hdf5"),
    (0, b"\x93NUMPY", "application/x-numpy"),
    (4, b"Standard Jet DB\0", "application/vnd.ms-access"),
    (4, b"Standard ACE DB\0", "application/vnd.ms-access"),
    (0, b"MZ", "application/vnd.microsoft.portable-executable"),
    (0, b"\x7fELF", "application/x-executable"),
)
"""Where a file has which bytes; the first that fits."""
_NOT_IN_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1f]")  # a text may begin with `BM` or `MZ`, or with letters above ASCII

_OLE = b"\xd0\xcf\x11\xe0"
_IN_OLE = (
    ("EncryptedPackage", LOCKED),
    ("WordDocument", "application/msword"),
    ("PowerPoint Document", "application/vnd.ms-powerpoint"),
    ("Workbook", "application/vnd.ms-excel"),
    ("__substg1.0_", "application/vnd.ms-outlook"),
)
_IN_DIRECTORY = re.compile(rb"PK\x01\x02.{42}(xl/workbook\.bin|xl/|word/|ppt/|Index/(?:Document|CalculationEngine|Slide)|META-INF/MANIFEST)", re.DOTALL)  # fmt: skip
"""A name in the directory of a zip archive that tells what the archive is."""
_IN_ZIP = {
    b"xl/workbook.bin": "application/vnd.ms-excel.sheet.binary.macroenabled.12",
    b"xl/": XLSX,
    b"word/": f"{_OFFICE}wordprocessingml.document",
    b"ppt/": f"{_OFFICE}presentationml.presentation",
    b"Index/Document": "application/vnd.apple.pages",
    b"Index/CalculationEngine": "application/vnd.apple.numbers",
    b"Index/Slide": "application/vnd.apple.keynote",
    b"META-INF/MANIFEST": "application/java-archive",
}
_FIRST_IN_ZIP = re.compile(rb"PK\x03\x04.{26}mimetype(application/[\w.+-]+)", re.DOTALL)

_HEADER = b"%PDF-"
_HEADER_WITHIN = 1024
_OLD = frozenset(kind for _, kind in _IN_OLE)
_PDF_END = re.compile(rb"startxref\s+\d+\s+%%EOF")


class WrongKind(ValueError):
    """A file that is not what it is said to be, or that nothing can be made of; the message goes on from its name."""


def told(name: str, said: str, data: bytes) -> str:
    """Return what a file is: text of some kind, a PDF, a workbook, or a picture that models take.

    `said` is its media type as its sender has it, in lower case, without a charset; empty or one that is neither of these
    counts for nothing. Raises `WrongKind`.
    """
    found = kind_of(data, expected=said or media_type_of(name))
    if is_usable(said):
        if found == said or (found is None and is_textual(said) and is_text(data)):
            return said
        it_is = f": they are {in_words(found)}" if found else ""
        advice = (
            advice_on(found)
            if found and not is_usable(found)
            else "mend its mediaType or leave it out, or mend its data"
        )
        raise WrongKind(f"says that it is {said}, and its bytes are not{it_is}; {advice}.")
    if found is None and is_text(data):
        named = media_type_of(name)
        return said if is_textual(said) else named if is_textual(named) else "text/plain"
    if found is not None and is_usable(found):
        return found
    raise WrongKind(f"is {unreadable(found, said, media_type_of(name))}.")


def kind_of(data: bytes, *, expected: str = "") -> str | None:
    """Return the media type that bytes show by themselves; None for text, and for what is not known.

    `expected` is what they are said to be, which decides where they may be that.
    """
    if is_pdf(data, sure=expected == PDF):
        return PDF
    if data.startswith(b"PK\x03\x04"):
        packed = _in_zip(data)
        return expected if expected in WORKBOOKS and packed in (XLSX, ZIP) else packed
    if data.startswith(_OLE):
        inner = (kind for mark, kind in _IN_OLE if mark.encode("utf-16-le") in data)
        return next(inner, expected if expected in _OLD else OLD_OFFICE)
    for at, mark, kind in _MARKS:
        if data.startswith(mark, at):
            return None if is_text(data) and not _NOT_IN_TEXT.search(mark) else kind
    return None


def is_pdf(data: bytes, *, sure: bool = False) -> bool:
    """Say whether bytes are a PDF: with its header in front, or behind other bytes, as all viewers take it.

    A text that is about PDFs has the header too, so behind other bytes the end has to be there, or it is `sure` by its name.
    """
    head = data[:_HEADER_WITHIN]
    if _HEADER not in head:
        return False
    return sure or head.lstrip(b"\xef\xbb\xbf\0 \t\r\n").startswith(_HEADER) or _PDF_END.search(data) is not None


def _in_zip(data: bytes) -> str:
    """Return what a zip archive is, by its first entry or by its directory, which is at its end: archives hold archives."""
    if (first := _FIRST_IN_ZIP.match(data)) is not None and (kind := first[1].decode()) in _WORDS:
        return kind
    end = data.rfind(b"PK\x05\x06")
    start = max(0, end - int.from_bytes(data[end + 12 : end + 16], "little")) if end >= 0 else 0
    names = {found[1] for found in _IN_DIRECTORY.finditer(data, start)}
    return next((kind for name, kind in _IN_ZIP.items() if name in names), ZIP)


def media_type_of(name: str) -> str:
    """Return what a name says of its file."""
    _, dot, ending = name.lower().rpartition(".")
    if not dot:
        return UNKNOWN
    return _ENDINGS.get(ending) or _LESS_KNOWN.guess_type(f"x.{ending}")[0] or UNKNOWN


def is_usable(kind: str) -> bool:
    """Say whether a file of this type can be attached."""
    return kind in IMAGE_TYPES or kind == PDF or kind in WORKBOOKS or is_textual(kind)


def in_words(kind: str) -> str:
    """Return what people call a file of a type, such as `a Word document (.docx)`."""
    return _WORDS[kind][0] if kind in _WORDS else "text" if is_textual(kind) else f"a file of the type {kind}"


def advice_on(kind: str) -> str:
    """Return what to do with a file of a type that cannot be read."""
    return _WORDS.get(kind, ("", ""))[1] or "save it as text, CSV, XLSX or PDF"


def unreadable(*kinds: str | None) -> str:
    """Return what a file is that cannot be read, by the first of several types that says more than others, and what to do."""
    known = [kind for kind in kinds if kind and kind != UNKNOWN]
    kind = next(
        (kind for kind in known if kind in _WORDS and kind not in (ZIP, OLD_OFFICE)), known[0] if known else UNKNOWN
    )
    what = in_words(kind) if kind != UNKNOWN else "neither text nor of a kind that is known"
    return f"{what}, which cannot be read; {advice_on(kind)}"
