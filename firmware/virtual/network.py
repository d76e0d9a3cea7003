"""`network` as on a board with Wi-Fi: the station's radio reaches the PC's loopback.

On the PC, in the pod's folder:
    wifi.json      {"ssid", "password", "address"}: the one access point in reach, and the address
                   it gives this pod, 127.x.y.z; without the file there is none
    faults.json    {"wifi": "gone"}: while it says so the access point is off
    network.json   {"hostname", "address"}: written here while the station has joined, for whoever
                   answers mDNS in a stock board's stead; gone otherwise

The first two are written in place, as `pc.Watched` needs it.
"""

import json

import pc
import utime

STAT_IDLE = 0
STAT_CONNECTING = 1
STAT_GOT_IP = 3
STAT_CONNECT_FAIL = -1
STAT_NO_AP_FOUND = -2
STAT_WRONG_PASSWORD = -3

_LOOK_MS = 50
_JOIN_MS = 300  # joining takes a while, so that nobody relies on its being done at once
_LONGEST_NAME = 32

_hostname = "PYBD"


def hostname(name=None):
    """The board's name on the network."""
    global _hostname
    if name is None:
        return _hostname
    if len(name) > _LONGEST_NAME:
        raise ValueError("hostname too long")
    _hostname = name
    return None


class _Told:
    """A JSON object that somebody on the PC may change."""

    def __init__(self, name):
        self._file = pc.Watched(name)
        self.content = {}

    def look(self):
        if self._file.changed():
            try:
                self.content = json.loads(self._file.bytes() or b"{}")
            except ValueError:
                pass  # half written; the rest makes another change


class WLAN:
    """The station."""

    IF_STA = 0
    IF_AP = 1
    PM_NONE = 16
    PM_PERFORMANCE = 10555714
    PM_POWERSAVE = 17

    def __init__(self, interface=IF_STA):
        if interface != WLAN.IF_STA:
            raise ValueError("only the station is modelled")
        self._active = False
        self._wanted = None  # (ssid, password)
        self._joining_since = 0
        self._looked = utime.ticks_ms() - _LOOK_MS
        self._status = STAT_IDLE
        self._address = None
        self._point = _Told("wifi.json")
        self._faults = _Told("faults.json")
        self._forget()

    def active(self, on=None):
        if on is None:
            return self._active
        self._active = bool(on)
        if not on:
            self.disconnect()
        return None

    def config(self, *names, **values):
        if names:
            raise ValueError("unknown config param")
        if not self._active or any(key not in ("pm", "txpower") for key in values):
            raise ValueError("unknown config param, or the radio is off")

    def connect(self, ssid, password=None):
        if not self._active:
            raise OSError("STA is not active")
        self._wanted = (ssid, password)
        self._joining_since = utime.ticks_ms()
        self._status = STAT_CONNECTING

    def disconnect(self):
        self._wanted = None
        self._status = STAT_IDLE
        self._leave()

    def isconnected(self):
        self._look()
        return self._address is not None

    def status(self):
        self._look()
        return self._status

    def ifconfig(self):
        self._look()
        return (self._address or "0.0.0.0", "255.0.0.0", "0.0.0.0", "0.0.0.0")

    def _look(self):
        now = utime.ticks_ms()
        if utime.ticks_diff(now, self._looked) < _LOOK_MS or self._wanted is None:
            return
        self._looked = now
        self._point.look()
        self._faults.look()
        point = self._point.content
        in_reach = (
            point.get("ssid") == self._wanted[0] and self._faults.content.get("wifi") != "gone"
        )
        if self._address is not None:
            if not in_reach:
                self._leave()
                self._status = STAT_NO_AP_FOUND
        elif utime.ticks_diff(now, self._joining_since) >= _JOIN_MS:
            if not in_reach:
                self._status = STAT_NO_AP_FOUND
            elif point["password"] != self._wanted[1]:
                self._status = STAT_WRONG_PASSWORD
            else:
                self._status = STAT_GOT_IP
                self._address = point["address"]
                self._tell()

    def _leave(self):
        if self._address is not None:
            self._address = None
            self._forget()

    def _tell(self):
        with pc.open("network.json", "w") as file:
            json.dump({"hostname": _hostname, "address": self._address}, file)

    def _forget(self):
        try:
            pc.remove("network.json")
        except OSError:
            pass  # there is none
