"""What makes a pod this pod: its name, calibration and key, written once and kept over every update.

`provision/sums.json` holds the SHA-256 of each other file there: flash that has silently gone bad is found,
and told, instead of becoming a wrong calibration or a key that fits nothing. The pod then runs all the
same, under its chip's number and without a key. A folder without sums was made by hand, and is believed.
"""

import hashlib
import json

FOLDER = "/provision/"
KEY_BYTES = 32

_BLOCK_BYTES = 64  # of SHA-256
_AGAIN = "provision the pod again"


def hmac_sha256(key, *parts):
    """HMAC-SHA256 (RFC 2104) of the parts, one behind the other; MicroPython has no `hmac`."""
    if len(key) > _BLOCK_BYTES:
        key = hashlib.sha256(key).digest()
    padded = key + bytes(_BLOCK_BYTES - len(key))
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
    for part in parts:
        inner.update(part)
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))
    outer.update(inner.digest())
    return outer.digest()


def same(one, two):
    """Compare in a time that does not tell how much was right."""
    if len(one) != len(two):
        return False
    difference = 0
    for i in range(len(one)):
        difference |= one[i] ^ two[i]
    return difference == 0


class Provisioning:
    """What `folder` holds; what cannot be read is missing here and named in `fault`."""

    def __init__(self, uid, folder=FOLDER):
        self._folder = folder
        self.fault = None  # one line for people, or None
        self.record = {}  # uid, name, serial, hardware, calibration, wifi: see the host's `provision`
        self.key = None
        self._sums = self._read_sums()
        text = self.read("pod.json")
        if text is not None:
            try:
                record = json.loads(text)
                if not isinstance(record, dict):
                    raise ValueError
                self.record = record
            except ValueError:
                self.fault = "%spod.json is spoilt: %s" % (folder, _AGAIN)
        key = self.read("key")
        if key is not None:
            if len(key) == KEY_BYTES:
                self.key = key
            else:
                self.fault = "%skey is not a key: %s" % (folder, _AGAIN)
        if self.record.get("uid", uid) != uid:
            # The flash of another board was copied here: its calibration and its key are not ours
            self.fault = "%s is that of board %s, this is %s: %s" % (
                folder,
                self.record["uid"],
                uid,
                _AGAIN,
            )
            self.record = {}
            self.key = None
        self.name = self.record.get("name") or "pod-" + uid[-6:]
        self.calibration = self.record.get("calibration") or {}

    def signed(self, value, mac):
        """True if `mac` is the HMAC-SHA256 of `value` with this pod's key."""
        return self.key is not None and same(hmac_sha256(self.key, value), mac)

    def about(self):
        """What the dictionary tells of it; the key and the Wi-Fi's password are nobody's business."""
        told = {"name": self.name, "calibration": self.calibration, "provisioned": bool(self.key)}
        for field in ("serial", "hardware"):
            if field in self.record:
                told[field] = self.record[field]
        return told

    def limits(self, board):
        """The board's limits, with this very pod's loudness instead of its type's."""
        measured = self.calibration.get("full_scale_dba")
        if not isinstance(measured, (int, float)):
            return board
        limits = dict(board)
        limits["full_scale_dba"] = measured
        return limits

    def _read_sums(self):
        try:
            with open(self._folder + "sums.json") as file:
                sums = json.load(file)
            if isinstance(sums, dict):
                return sums
        except OSError:
            return None
        except ValueError:
            pass
        self.fault = "%ssums.json is spoilt: %s" % (self._folder, _AGAIN)
        return {}

    def read(self, name):
        """The bytes of a file in the folder; None, with `fault` set where it should have been there."""
        try:
            with open(self._folder + name, "rb") as file:
                data = file.read()
        except OSError:
            if self._sums is not None and name in self._sums:
                self.fault = "%s%s is missing: %s" % (self._folder, name, _AGAIN)
            return None
        if self._sums is not None and self._sums.get(name) != hashlib.sha256(data).digest().hex():
            self.fault = "%s%s is spoilt: %s" % (self._folder, name, _AGAIN)
            return None
        return data
