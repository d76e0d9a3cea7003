"""The link to one pod: `protocol` is bytes and times in, bytes and messages out; `serial_port` the port."""

from .protocol import (
    Ack,
    Block,
    Dictionary,
    Event,
    Message,
    ProbeReply,
    Protocol,
    Report,
    Stats,
    build_frame,
)
from .serial_port import SerialPort

__all__ = [
    "Ack",
    "Block",
    "Dictionary",
    "Event",
    "Message",
    "ProbeReply",
    "Protocol",
    "Report",
    "SerialPort",
    "Stats",
    "build_frame",
]
