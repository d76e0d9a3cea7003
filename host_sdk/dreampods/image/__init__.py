"""What stands on a board's flash: built here, packed into a file system or a signed bundle, sent to pods."""

from .build import Image, architecture, build_image
from .bundle import Bundle, read_bundle, write_bundle
from .littlefs import littlefs
from .provision import provision_files
from .transfer import UpdateSession

__all__ = [
    "Bundle",
    "Image",
    "UpdateSession",
    "architecture",
    "build_image",
    "littlefs",
    "provision_files",
    "read_bundle",
    "write_bundle",
]
