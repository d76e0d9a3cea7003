"""A pod's place on the network: the real firmware on the real MicroPython, against real TLS clients."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import os
import queue
import secrets
import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pod_in_time import FIRMWARE

pytest.importorskip("cryptography")
pytest.importorskip("zeroconf")

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dreampods.errors import LinkError
from dreampods.link.tcp_port import PORT, TcpPort, Trust
from dreampods.registry import FleetFolder, PodRecord
from dreampods.registry.certificates import make_key, pem
from dreampods.virtual.mdns import MdnsResponder, loopback_address
from dreampods.virtual.supervisor import HEAP, find_micropython

SCRIPTS = Path(__file__).resolve().parents[1] / "firmware_on_micropython"
BLOCK = 64
PATIENCE_S = 20.0
WIFI = {"ssid": "dream house", "password": "sleep well"}


class VirtualPod:
    """The script network_pod.py, being run, and what it says."""

    def __init__(self, folder: Path, record: PodRecord, authority: bytes) -> None:
        self.folder = folder
        self.name = record.name
        self.address = loopback_address(record.uid)
        folder.mkdir()
        (folder / "certificate.der").write_bytes(record.certificate_der)
        (folder / "private.der").write_bytes(record.private_key_der)
        (folder / "authority.der").write_bytes(authority)
        config = {"name": record.name, "wifi": WIFI}
        (folder / "pod.json").write_text(json.dumps(config))
        for module in ("network.py", "pc.py"):
            # Of the virtual board the radio alone: all else is the unix port's own
            (folder / module).symlink_to(FIRMWARE / "virtual" / module)
        self.air(WIFI)
        self.process: subprocess.Popen[str] | None = None
        self.said: queue.Queue[str] = queue.Queue()

    def air(self, wifi: dict[str, str]) -> None:
        """What access point is in reach."""
        (self.folder / "wifi.json").write_text(json.dumps({**wifi, "address": self.address}))

    def start(self, waits_for: str = "fault None") -> None:
        try:
            command = find_micropython()
        except LinkError as error:
            pytest.skip(str(error))
        self.process = subprocess.Popen(
            [*command, "-X", f"heapsize={HEAP}", str(SCRIPTS / "network_pod.py")],
            cwd=self.folder,
            env=os.environ | {"MICROPYPATH": f"{FIRMWARE}:{self.folder}:.frozen"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()
        self.until(waits_for)

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.said.put(line.strip())

    def until(self, text: str) -> str:
        """Wait for the line that has `text` in it."""
        heard = []
        while not heard or text not in heard[-1]:
            try:
                heard.append(self.said.get(timeout=PATIENCE_S))
            except queue.Empty:
                pytest.fail(f"the pod never said {text!r}, only {heard}")
        return heard[-1]

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def fleet(tmp_path: Path) -> FleetFolder:
    return FleetFolder.create(tmp_path / "fleet", "ours")


@pytest.fixture
def make_pod(tmp_path: Path, fleet: FleetFolder) -> Iterator[Callable[[str], VirtualPod]]:
    pods: list[VirtualPod] = []

    def make(name: str) -> VirtualPod:
        # Another uid each time, hence another address, so that tests may run side by side
        record = fleet.enrol(secrets.token_hex(8), name, f"DP-{name}", "A")
        pods.append(VirtualPod(tmp_path / name, record, fleet.ca_der))
        return pods[-1]

    yield make
    for pod in pods:
        pod.stop()


@pytest.fixture
def pod(make_pod: Callable[[str], VirtualPod]) -> VirtualPod:
    made = make_pod("pod-1")
    made.start()
    return made


@contextlib.contextmanager
def answering(*pods: VirtualPod) -> Iterator[None]:
    """mDNS as the boards themselves would answer it."""
    try:
        responder = MdnsResponder(pod.folder for pod in pods)
    except OSError as error:
        pytest.skip(f"no multicast here: {error}")
    ending = threading.Event()

    def run() -> None:
        while not ending.is_set():
            if select.select([responder], [], [], 0.05)[0]:
                responder.answer()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
        responder.close()


class Visit:
    """One opening of a port: what came, and why it ended."""

    def __init__(self, path: str, trust: Trust) -> None:
        self.heard = bytearray()
        self.reason = ""
        self._news = asyncio.Event()
        self.port = TcpPort(path, self._on_bytes, self._on_gone, trust)

    def _on_bytes(self, data: bytes) -> None:
        self.heard += data
        self._news.set()

    def _on_gone(self, reason: str) -> None:
        self.reason = reason
        self._news.set()

    async def until(self, condition: Callable[[Visit], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition(self):
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), 0.01)

    async def open(self) -> None:
        await self.until(lambda visit: visit.port.connected or bool(visit.reason))
        assert not self.reason


def echo(path: str, trust: Trust, text: bytes = b"good evening") -> bytes:
    """What a pod answers to a host that comes in, says something and goes."""

    async def visit() -> bytes:
        guest = Visit(path, trust)
        await guest.open()
        guest.port.write(text.ljust(BLOCK))
        await guest.until(lambda visit: len(visit.heard) >= BLOCK or bool(visit.reason))
        guest.port.close()
        assert not guest.reason
        return bytes(guest.heard).rstrip()

    return asyncio.run(visit())


def why_not(path: str, trust: Trust) -> str:
    """Why a pod cannot be opened."""

    async def visit() -> str:
        guest = Visit(path, trust)
        await guest.until(lambda visit: bool(visit.reason))
        return guest.reason

    return asyncio.run(visit())


def client_context(authority: bytes) -> ssl.SSLContext:
    """A client that trusts anybody, to see what a pod gives to strangers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=authority)
    return context


def what_a_stranger_gets(pod: VirtualPod, context: ssl.SSLContext | None, says: bytes) -> bytes:
    """All bytes that come out of the pod, inside TLS or, without, besides it."""
    with socket.create_connection((pod.address, PORT), PATIENCE_S) as raw:
        got = b""
        with contextlib.suppress(OSError):
            link = raw if context is None else context.wrap_socket(raw)
            link.sendall(says)
            while data := link.recv(1000):
                got += data
        return got


def identity(tmp_path: Path, fleet: FleetFolder, days: int, role: x509.ObjectIdentifier) -> Path:
    """A certificate and key as the fleet's authority would make them, valid for other times or roles."""
    key = make_key()
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "host")]))
        .issuer_name(fleet._authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=400))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([role]), critical=True)
        .sign(fleet._authority_key, hashes.SHA256())
    )
    file = tmp_path / "identity.pem"
    file.write_bytes(pem(key, certificate))
    return file


# --- who gets in -----------------------------------------------------------------------------


def test_the_fleets_own_host_gets_in_by_address(pod: VirtualPod, fleet: FleetFolder) -> None:
    trust = Trust(fleet)
    assert echo(f"tcp://{pod.address}", trust) == b"good evening"
    pod.until("host in")
    pod.until("host out")
    assert echo(f"tcp://{pod.address}:{PORT}", trust, b"again") == b"again"


def test_a_pod_is_found_by_its_name(
    make_pod: Callable[[str], VirtualPod], fleet: FleetFolder
) -> None:
    pods = [make_pod(f"pod-{number}") for number in (1, 2)]
    for pod in pods:
        pod.start()
    trust = Trust(fleet)
    with answering(*pods):
        assert echo("tcp://pod-2.local", trust) == b"good evening"
        pods[1].until("host in")
        assert echo("tcp://POD-1.local", trust) == b"good evening"
        pods[0].until("host in")
        reason = why_not("tcp://pod-3.local", trust)
    assert "nobody answers to pod-3.local by mDNS" in reason


def test_a_pod_with_anothers_name_is_not_taken_for_it(pod: VirtualPod, fleet: FleetFolder) -> None:
    (pod.folder / "network.json").write_text(
        json.dumps({"hostname": "pod-7", "address": pod.address})
    )
    with answering(pod):
        reason = why_not("tcp://pod-7.local", Trust(fleet))
    assert "the pod that answers is not pod-7.local" in reason


def test_a_pod_that_was_struck_from_the_records_is_not_taken(
    pod: VirtualPod, fleet: FleetFolder
) -> None:
    for file in (fleet.path / "pods").iterdir():
        file.unlink()
    assert "does not stand in the records of fleet 'ours'" in why_not(
        f"tcp://{pod.address}", Trust(fleet)
    )


def test_two_fleets_refuse_each_other(pod: VirtualPod, fleet: FleetFolder, tmp_path: Path) -> None:
    other = FleetFolder.create(tmp_path / "other", "theirs")
    assert "belongs to another fleet" in why_not(f"tcp://{pod.address}", Trust(other))
    # The same, had the host not looked: what does the pod say to it?
    context = client_context(fleet.ca_der)
    context.load_cert_chain(other.path / "host.pem")
    assert what_a_stranger_gets(pod, context, b"x" * BLOCK) == b""
    pod.until("its certificate is another fleet's")
    assert echo(f"tcp://{pod.address}", Trust(fleet)) == b"good evening"


def test_without_a_certificate_one_gets_nothing(pod: VirtualPod, fleet: FleetFolder) -> None:
    assert what_a_stranger_gets(pod, client_context(fleet.ca_der), b"x" * BLOCK) == b""
    assert pod.until("refused").startswith("refused 127.0.0.1: it has no certificate")
    assert echo(f"tcp://{pod.address}", Trust(fleet)) == b"good evening"


def test_with_an_expired_certificate_one_gets_nothing(
    pod: VirtualPod, fleet: FleetFolder, tmp_path: Path
) -> None:
    context = client_context(fleet.ca_der)
    context.load_cert_chain(identity(tmp_path, fleet, -1, ExtendedKeyUsageOID.CLIENT_AUTH))
    assert what_a_stranger_gets(pod, context, b"x" * BLOCK) == b""
    pod.until("its certificate has expired")
    # It is the date alone that keeps it out
    context.load_cert_chain(identity(tmp_path, fleet, 1, ExtendedKeyUsageOID.CLIENT_AUTH))
    with socket.create_connection((pod.address, PORT), PATIENCE_S) as raw:
        link = context.wrap_socket(raw)
        link.sendall(b"x" * BLOCK)
        assert link.recv(BLOCK) == b"x" * BLOCK


def test_a_pods_certificate_does_not_command_another_pod(
    pod: VirtualPod, fleet: FleetFolder, tmp_path: Path
) -> None:
    stolen = json.loads(next((fleet.path / "pods").glob("*.json")).read_text())
    file = tmp_path / "stolen.pem"
    file.write_text(stolen["private_key"] + stolen["certificate"])
    context = client_context(fleet.ca_der)
    context.load_cert_chain(file)
    assert what_a_stranger_gets(pod, context, b"x" * BLOCK) == b""
    pod.until("its certificate is not a host's")
    assert echo(f"tcp://{pod.address}", Trust(fleet)) == b"good evening"


def test_who_speaks_no_tls_gets_nothing(pod: VirtualPod, fleet: FleetFolder) -> None:
    for noise in (b"GET / HTTP/1.1\r\n\r\n", bytes(2000), secrets.token_bytes(5000)):
        got = what_a_stranger_gets(pod, None, noise)
        assert len(got) <= 7, "at most an alert of TLS"
    pod.until("it does not speak TLS")
    assert echo(f"tcp://{pod.address}", Trust(fleet)) == b"good evening"


def test_a_port_scan_is_told_of_and_harms_nobody(pod: VirtualPod, fleet: FleetFolder) -> None:
    for _ in range(30):
        socket.create_connection((pod.address, PORT), PATIENCE_S).close()
    pod.until("it hung up")
    assert echo(f"tcp://{pod.address}", Trust(fleet)) == b"good evening"


# --- who waits -------------------------------------------------------------------------------


def test_those_who_say_nothing_keep_nobody_out(pod: VirtualPod, fleet: FleetFolder) -> None:
    silent = [socket.create_connection((pod.address, PORT), PATIENCE_S) for _ in range(6)]
    try:
        assert echo(f"tcp://{pod.address}", Trust(fleet)) == b"good evening"
        pod.until("it says nothing")
        for sock in silent:
            sock.settimeout(PATIENCE_S)
            with contextlib.suppress(ConnectionResetError):
                assert sock.recv(100) == b""
    finally:
        for sock in silent:
            sock.close()


def test_who_begins_a_handshake_and_stops_keeps_the_host_out_for_seconds_only(
    pod: VirtualPod, fleet: FleetFolder
) -> None:
    with socket.create_connection((pod.address, PORT), PATIENCE_S) as half:
        half.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert echo(f"tcp://{pod.address}", Trust(fleet)) == b"good evening"
        pod.until("its handshake takes too long")


def test_a_second_host_is_refused_and_the_first_does_not_notice(
    pod: VirtualPod, fleet: FleetFolder
) -> None:
    trust = Trust(fleet)

    async def both() -> str:
        first = Visit(f"tcp://{pod.address}", trust)
        await first.open()
        second = None
        for number in range(1, 40):
            first.port.write(bytes([number]) * BLOCK)
            await first.until(lambda visit, n=number: len(visit.heard) >= n * BLOCK)  # type: ignore[misc]
            if number == 5:
                second = Visit(f"tcp://{pod.address}", trust)
            await asyncio.sleep(0.02)
        assert second is not None
        await second.until(lambda visit: bool(visit.reason))
        assert bytes(first.heard) == b"".join(bytes([n]) * BLOCK for n in range(1, 40))
        first.port.close()
        return second.reason

    assert "perhaps another host is connected" in asyncio.run(both())
    pod.until("a host is connected already")
    assert echo(f"tcp://{pod.address}", trust) == b"good evening"


def test_a_host_that_is_gone_without_a_word_makes_room(
    pod: VirtualPod, fleet: FleetFolder
) -> None:
    context = client_context(fleet.ca_der)
    context.load_cert_chain(fleet.path / "host.pem")
    with socket.create_connection((pod.address, PORT), PATIENCE_S) as raw:
        link = context.wrap_socket(raw)
        link.sendall(b"x" * BLOCK)
        pod.until("host in")
        pod.until("host out")
    assert echo(f"tcp://{pod.address}", Trust(fleet)) == b"good evening"


def test_a_host_that_stops_in_the_middle_of_a_block_is_let_go(
    pod: VirtualPod, fleet: FleetFolder
) -> None:
    context = client_context(fleet.ca_der)
    context.load_cert_chain(fleet.path / "host.pem")
    with socket.create_connection((pod.address, PORT), PATIENCE_S) as raw:
        link = context.wrap_socket(raw)
        link.sendall(b"x" * (BLOCK - 1))
        pod.until("host in")
        pod.until("host out")
        assert link.recv(BLOCK) == b""


def test_a_host_that_reads_nothing_does_not_hold_the_pod(
    pod: VirtualPod, fleet: FleetFolder
) -> None:
    context = client_context(fleet.ca_der)
    context.load_cert_chain(fleet.path / "host.pem")
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(PATIENCE_S)
        raw.connect((pod.address, PORT))
        link = context.wrap_socket(raw)
        with contextlib.suppress(OSError):
            for _ in range(2000):
                link.sendall(b"x" * BLOCK * 100)
        pod.until("host out")
    assert echo(f"tcp://{pod.address}", Trust(fleet)) == b"good evening"


def test_megabytes_arrive_whole_in_pieces_of_any_size(pod: VirtualPod, fleet: FleetFolder) -> None:
    sent = secrets.token_bytes(BLOCK * 4000)

    async def talk() -> bytes:
        guest = Visit(f"tcp://{pod.address}", Trust(fleet))
        await guest.open()
        at, size = 0, 1
        while at < len(sent):
            guest.port.write(sent[at : at + size])
            at, size = at + size, size * 7 % 40_009
            await guest.until(lambda visit: visit.port.clear or bool(visit.reason))
        await guest.until(lambda visit: len(visit.heard) >= len(sent) or bool(visit.reason))
        guest.port.close()
        return bytes(guest.heard)

    assert asyncio.run(talk()) == sent


# --- the Wi-Fi -------------------------------------------------------------------------------


def test_a_wi_fi_that_goes_takes_the_host_away_and_comes_back(
    pod: VirtualPod, fleet: FleetFolder
) -> None:
    trust = Trust(fleet)

    async def lose() -> None:
        guest = Visit(f"tcp://{pod.address}", trust)
        await guest.open()
        guest.port.write(bytes(BLOCK))
        (pod.folder / "faults.json").write_text('{"wifi": "gone"}')
        await guest.until(lambda visit: bool(visit.reason))
        assert "hung up" in guest.reason

    asyncio.run(lose())
    assert (
        pod.until("fault")
        == "fault Wi-Fi: the network 'dream house' is gone; the pod looks for it"
    )
    assert not (pod.folder / "network.json").exists()
    assert "nothing listens on port 7716" in why_not(f"tcp://{pod.address}", trust)
    (pod.folder / "faults.json").write_text("{}")
    pod.until("fault None")
    assert echo(f"tcp://{pod.address}", trust) == b"good evening"


def test_what_keeps_a_pod_out_of_the_wi_fi_is_told_and_it_tries_again(
    make_pod: Callable[[str], VirtualPod],
) -> None:
    pod = make_pod("pod-1")
    pod.air({**WIFI, "password": "wake up"})
    pod.start("fault Wi-Fi: the password for 'dream house' is wrong; provision the pod again")
    pod.air({**WIFI, "ssid": "neighbours"})
    pod.until("fault Wi-Fi: no network 'dream house' in reach")
    pod.air(WIFI)
    pod.until("fault None")


# --- the host's side alone -------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["tcp://", "tcp://a b", "tcp://x:0", "tcp://x:70000", "tcp:/x", "tcp://x/y", "x"]
)
def test_a_path_that_is_none_is_told_at_once(path: str, fleet: FleetFolder) -> None:
    async def visit() -> None:
        Visit(path, Trust(fleet))

    with pytest.raises(LinkError, match="give a pod on the network as tcp://"):
        asyncio.run(visit())


def test_a_host_that_is_not_there_is_told_in_one_line(fleet: FleetFolder) -> None:
    trust = Trust(fleet)
    assert "nothing listens on port 7716" in why_not("tcp://127.9.9.9", trust)
    assert "there is no host 'no.such.invalid'" in why_not("tcp://no.such.invalid", trust)


def test_something_else_that_answers_is_told_in_one_line(fleet: FleetFolder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            sock, _ = server.accept()
            with sock:
                sock.recv(100)
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        reason = why_not(f"tcp://127.0.0.1:{server.getsockname()[1]}", Trust(fleet))
        thread.join()
    assert reason == "something answers that is no pod; check address and port"


def test_a_port_that_is_closed_while_it_opens_says_nothing_more(fleet: FleetFolder) -> None:
    async def visit() -> str:
        guest = Visit("tcp://127.9.9.9", Trust(fleet))
        guest.port.close()
        guest.port.write(b"nobody hears this")
        await asyncio.sleep(0.2)
        return guest.reason

    assert asyncio.run(visit()) == ""


def test_virtual_pods_have_addresses_of_their_own() -> None:
    addresses = {loopback_address(f"{uid:016x}") for uid in range(128)}
    assert len(addresses) == 128
    assert all(address.startswith("127.") and address != "127.0.0.1" for address in addresses)


def test_host_and_pod_mean_the_same_port() -> None:
    assert f"PORT = const({PORT})" in (FIRMWARE / "dreampod" / "network.py").read_text()
