"""The pod on a network: joins the Wi-Fi, and lets in one host, by TLS certificates of the fleet.

The pod is the TLS server and asks for a client's certificate. mbedtls lets in whom the fleet's
authority has made a *client*, that is the host: another pod's certificate says "server" and is
refused, and so are another fleet's and an expired one. Who is refused gets nothing and is told of.

A handshake costs a small chip a second or so of computing, in pieces that run to their end: I2S
callbacks wait for them. So while a host is connected nobody else's handshake is begun, and nobody
from outside can make a gap in a sleeper's sound. A connection that says nothing waits aside, where
it costs no TLS buffers (20 KB each) and keeps nobody out. So there is one TLS connection at a time.

The time. Boards have no battery for their clock. It is set to the newest date the pod's own files
tell (`set_clock`), and runs from there. Hence a host's certificate that expired while the pod lay
switched off is still taken, until an update or a provisioning brings a later date; one that was
expired by then is refused. The other way round nothing can lock the fleet out: its certificates
are valid from 2020 on.
"""

import gc
import io
import select
import socket
import time

import machine
import network
import tls
from micropython import const

from dreampod import wire
from dreampod.clock import ticks_add, ticks_diff, ticks_us

PORT = const(7716)

_TURN_US = const(20_000)  # how often one looks for newcomers
_GIVE_UP_US = const(
    500_000
)  # in the middle of a frame, or when the host takes nothing: as USB does
_HOST_SILENT_US = const(2_000_000)  # a host that lives says something every 150 ms
_SAY_SOMETHING_US = const(3_000_000)  # for a connection that has sent nothing yet
_HANDSHAKE_US = const(
    5_000_000
)  # from the first byte until the host has said something inside TLS
_MOST_WAITING = const(3)
_TELL_US = const(1_000_000)  # the same refusal is told once a second, and counted

_LOOK_US = const(250_000)  # at the state of the Wi-Fi
_JOIN_US = const(15_000_000)
_LONGEST_REST_US = const(30_000_000)

_MP_STREAM_POLL = const(3)  # py/stream.h
_EINVAL = const(22)
_IPPROTO_TCP = const(6)
_TCP_NODELAY = const(1)

# mbedtls/ssl.h
_REASONS = {
    -0x7200: "it does not speak TLS",
    -0x7280: "it hung up",
    -0x7480: "it has no certificate",
    -0x7A00: "its certificate is not a host's",
}


class Port(io.IOBase):
    """The link's reader and writer. It lives as long as the pod; connections come and go in it.

    As on USB `readinto` gives all bytes it was asked for, and `write` gives up after 500 ms. A
    connection that cannot keep that is closed, and both give 0 until the next one.

    TLS may hold bytes of which the socket shows nothing, and the socket bytes that are no whole
    record yet. So who polls is told that there is something when one byte is really here: it is
    kept, and is the first of the next `readinto`.
    """

    def __init__(self):
        self.connected = False
        self.heard = ticks_us()
        self._first = -1  # the byte that is kept, if there is one
        self._one = bytearray(1)
        self._head = bytearray(wire.HEADER_BYTES)
        head = memoryview(self._head)
        self._rests = [head[1 : 1 + count] for count in range(wire.HEADER_BYTES)]
        self._in = select.poll()
        self._out = select.poll()

    def connect(self, sock, stream, first):
        """Take a connection that a host has been let in by, and the first byte it said."""
        self._sock = sock
        self._tls = stream
        self._first = first
        self._in.register(sock, select.POLLIN)
        self._out.register(sock, select.POLLOUT)
        self.heard = ticks_us()
        self.connected = True

    def close(self):
        """Hang up."""
        if self.connected:
            self.connected = False
            self._first = -1
            self._in.unregister(self._sock)
            self._out.unregister(self._sock)
            _hang_up(self._tls, self._sock)
            self._tls = self._sock = None  # their buffers are large

    def ioctl(self, request, flags):
        """What `select.poll` asks a stream."""
        if request != _MP_STREAM_POLL:
            return -_EINVAL
        if self._first < 0 and self.connected and self._some(self._one):
            self._first = self._one[0]
        return flags & select.POLLIN if self._first >= 0 else 0

    def readinto(self, buf):
        if self._first < 0:
            return self._all(buf)
        buf[0] = self._first
        self._first = -1
        rest = len(buf) - 1
        if rest >= wire.HEADER_BYTES:
            return self._all(memoryview(buf)[1:]) and rest + 1
        if rest and not self._all(self._rests[rest]):
            return 0
        for i in range(rest):  # a slice of `buf` would be litter, at every frame
            buf[1 + i] = self._head[1 + i]
        return rest + 1

    def _all(self, buf):
        """Wait until `buf` is full. A host writes frames whole, and whole they come out of TLS."""
        got = 0
        since = ticks_us()
        while self.connected:
            got += self._some(memoryview(buf)[got:] if got else buf)
            if got == len(buf):
                return got
            if ticks_diff(ticks_us(), since) > _GIVE_UP_US:
                self.close()
            elif self.connected:
                for _event in self._in.ipoll(2):
                    pass
        return 0

    def _some(self, buf):
        """What is there, 0 if that is nothing; hangs up where nothing more will come."""
        try:
            count = self._tls.readinto(buf)
        except (OSError, ValueError):
            count = 0
        if count:
            self.heard = ticks_us()
            return count
        if count == 0:
            self.close()
        return 0

    def write(self, buf, length):
        since = ticks_us()
        while self.connected:
            try:
                # A frame is one TLS record: all or nothing, and to be tried again with the same bytes
                count = self._tls.write(buf, length)
            except (OSError, ValueError):
                count = 0
            if count:
                return count
            if count == 0 or ticks_diff(ticks_us(), since) > _GIVE_UP_US:
                self.close()
            else:
                for _event in self._out.ipoll(2):
                    pass
        return 0


class Door:
    """Listens on one address, and lets one host into `port`."""

    def __init__(self, port, context, on_refused):
        self._port = port
        self._context = context
        self._on_refused = on_refused
        self._poll = select.poll()
        self._listeners = []  # one while it is open
        self._waiting = []  # (socket, address, since): connected, and have said nothing yet
        self._shaking = False  # hands, with _guest, through _stream
        self._one = bytearray(1)
        self._due = self._told = ticks_us()
        self.refused = 0
        self._untold = 0
        self._last_why = ""

    def open(self, address):
        """Begin to listen."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(socket.getaddrinfo(address, PORT)[0][-1])
        listener.listen(_MOST_WAITING)
        listener.setblocking(False)
        self._listeners.append(listener)
        self._poll.register(listener, select.POLLIN)

    def close(self):
        """Listen no more, and hang up on everybody."""
        self._port.close()
        self._dismiss()
        while self._waiting:
            entry = self._waiting[0]
            self._forget(entry)
            entry[0].close()
        while self._listeners:
            listener = self._listeners.pop()
            self._poll.unregister(listener)
            listener.close()

    def step(self, now):
        if self._shaking:
            self._shake_hands(now)
        elif ticks_diff(now, self._due) >= 0 and self._listeners:
            self._due = ticks_add(now, _TURN_US)
            if self._port.connected and ticks_diff(now, self._port.heard) > _HOST_SILENT_US:
                self._port.close()  # gone without a word, perhaps out of the radio's reach
            knocking = False
            for sock, _event in self._poll.ipoll(0):
                if sock is self._listeners[0]:
                    knocking = True
                else:
                    self._begin(sock, now)
                    break  # one at a time: the rest of the pod has its turn
            else:
                if knocking:
                    self._meet(now)
            if self._waiting and ticks_diff(now, self._waiting[0][2]) > _SAY_SOMETHING_US:
                self._send_away(self._waiting[0], "it says nothing")

    def _meet(self, now):
        try:
            sock, address = self._listeners[0].accept()
        except OSError:
            return  # it has gone again
        if self._port.connected:
            sock.close()
            self._refuse(address, "a host is connected already")
            return
        sock.setblocking(False)
        if len(self._waiting) >= _MOST_WAITING:
            self._send_away(self._waiting[0], "it says nothing, and others wait")
        self._waiting.append((sock, address, now))
        self._poll.register(sock, select.POLLIN)

    def _send_away(self, entry, why):
        self._forget(entry)
        entry[0].close()
        self._refuse(entry[1], why)

    def _forget(self, entry):
        self._waiting.remove(entry)
        self._poll.unregister(entry[0])

    def _begin(self, sock, now):
        for entry in self._waiting:
            if entry[0] is sock:
                break
        if self._port.connected:
            self._send_away(entry, "a host is connected already")
            return
        self._forget(entry)
        self._guest = entry
        self._since = now
        self._shaking = True
        gc.collect()  # TLS wants 16 KB in one piece
        try:
            # A frame that waits for more to come would be late
            sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
            self._stream = self._context.wrap_socket(
                sock, server_side=True, do_handshake_on_connect=False
            )
        except (OSError, MemoryError) as error:
            self._stream = None
            self._fail("no room for TLS (%s)" % error)

    def _shake_hands(self, now):
        # Reading is what drives the handshake. The first byte inside TLS says that it is over, and
        # that the other side, too, is content: until then nothing of ours has been sent.
        try:
            count = self._stream.readinto(self._one)
        except ValueError as error:
            self._fail(_certificate_fault(str(error)))
            return
        except OSError as error:
            number = error.args[0]
            self._fail(_REASONS.get(number, "TLS failed, %s" % number))
            return
        except MemoryError:
            self._fail("no room for TLS")
            return
        if count:
            self._port.connect(self._guest[0], self._stream, self._one[0])
            self._end()
        elif count == 0:
            self._fail("it hung up")
        elif ticks_diff(now, self._since) > _HANDSHAKE_US:
            self._fail("its handshake takes too long")

    def _fail(self, why):
        address = self._guest[1]
        self._dismiss()
        self._refuse(address, why)

    def _dismiss(self):
        if self._shaking:
            _hang_up(self._stream, self._guest[0])
            self._end()

    def _end(self):
        self._shaking = False
        self._guest = self._stream = None

    def _refuse(self, address, why):
        self.refused += 1
        self._untold += 1
        now = ticks_us()
        if why != self._last_why or ticks_diff(now, self._told) > _TELL_US:
            more = " (%d since the last word)" % self._untold if self._untold > 1 else ""
            self._told = now
            self._last_why = why
            self._untold = 0
            self._on_refused("refused %s: %s%s" % (_host_of(address), why, more))


class Wifi:
    """A station that joins one network, again and again if it must.

    While it has not joined, `address` is empty and `fault` says why.
    """

    def __init__(self, name, ssid, password):
        self.fault = "Wi-Fi: not started"
        self.address = ""
        self._ssid = ssid
        self._password = password
        self._rest_us = 1_000_000
        self._trying = False
        self._since = self._due = ticks_us()
        network.hostname(name)  # a stock board answers for NAME.local by mDNS
        self._wlan = network.WLAN(network.WLAN.IF_STA)

    def begin(self):
        """Switch the radio on. This takes a Pico W about a second, so it is done before the loop."""
        self._wlan.active(True)
        # A radio that sleeps between beacons answers clock probes 100 ms late
        self._wlan.config(pm=self._wlan.PM_NONE)

    def step(self, now):
        if ticks_diff(now, self._due) < 0:
            return
        self._due = ticks_add(now, _LOOK_US)
        if self._wlan.isconnected():
            if not self.address:
                self.address = self._wlan.ifconfig()[0]
                self.fault = ""
                self._trying = False
                self._rest_us = 1_000_000
        elif self.address:
            self.address = ""
            self.fault = "Wi-Fi: the network %r is gone; the pod looks for it" % self._ssid
        elif not self._trying:
            self._join(now)
        elif ticks_diff(now, self._since) > _JOIN_US or self._hopeless():
            self._rest(now, self._explain())

    def _join(self, now):
        self._since = now
        try:
            self._wlan.connect(self._ssid, self._password)
            self._trying = True
        except (OSError, ValueError) as error:
            self._rest(now, "Wi-Fi: %r cannot be joined (%s)" % (self._ssid, error))

    def _hopeless(self):
        return self._wlan.status() in (network.STAT_WRONG_PASSWORD, network.STAT_NO_AP_FOUND)

    def _explain(self):
        status = self._wlan.status()
        if status == network.STAT_WRONG_PASSWORD:
            return "Wi-Fi: the password for %r is wrong; provision the pod again" % self._ssid
        if status == network.STAT_NO_AP_FOUND:
            return (
                "Wi-Fi: no network %r in reach; is it on, is it 2.4 GHz, is the antenna free?"
                % self._ssid
            )
        return "Wi-Fi: %r does not answer (status %d)" % (self._ssid, status)

    def _rest(self, now, fault):
        self.fault = fault
        self._trying = False
        try:
            self._wlan.disconnect()
        except OSError:
            pass  # it was not even trying
        self._due = ticks_add(now, self._rest_us)
        self._rest_us = min(2 * self._rest_us, _LONGEST_REST_US)


class Network:
    """The pod's place on the network. `port` is the link's reader and writer."""

    def __init__(self, name, wifi, certificate, private_key, authority, on_refused):
        """`wifi` has ssid and password; the next three are DER; `on_refused` takes one line of text."""
        context = tls.SSLContext(tls.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, private_key)
        context.load_verify_locations(authority)
        context.verify_mode = tls.CERT_REQUIRED  # type: ignore[attr-defined]
        self.port = Port()
        self._door = Door(self.port, context, on_refused)
        self._wifi = Wifi(name, wifi["ssid"], wifi["password"])
        self._address = ""
        self._deaf = ""

    @property
    def fault(self):
        """What keeps hosts from finding the pod, for people; None if nothing does."""
        return self._wifi.fault or self._deaf or None

    @property
    def refused(self):
        """How many were refused since boot."""
        return self._door.refused

    def begin(self):
        """Switch on; before the loop."""
        self._wifi.begin()

    def step(self, now):
        """One turn: keep the Wi-Fi joined, look who is at the door."""
        self._wifi.step(now)
        address = self._wifi.address
        if address != self._address:
            self._address = address
            self._door.close()
            self._deaf = ""
            if address:
                try:
                    self._door.open(address)
                except OSError as error:
                    self._deaf = "network: cannot listen on %s:%d (%s)" % (address, PORT, error)
        self._door.step(now)


def set_clock(dates):
    """Set the board's clock to the newest of `dates` ("2026-11-23"), unless it is later already."""
    newest = max([date for date in dates if date] or ["2020-01-01"])
    year, month, day = [int(part) for part in newest[:10].split("-")]
    if time.gmtime()[:3] < (year, month, day):
        machine.RTC().datetime((year, month, day, 0, 0, 0, 0, 0))


def _hang_up(stream, sock):
    for end in (stream, sock):
        if end is not None:
            try:
                end.close()
            except OSError:
                pass  # the other side was quicker


def _certificate_fault(text):
    if "not correctly signed" in text:
        return "its certificate is another fleet's"
    if "expired" in text:
        return "its certificate has expired"
    if "future" in text:
        return "its certificate is not valid yet; does the pod's clock run behind?"
    return "its certificate is not good: " + " ".join(text.split())


def _host_of(address):
    """The host of what `accept` returned: a tuple on boards, bytes of a sockaddr_in on a PC."""
    if isinstance(address, tuple):
        return address[0]
    return "%d.%d.%d.%d" % tuple(address[4:8])
