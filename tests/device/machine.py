"""A device in QEMU: a disk, the variables of its firmware, and one start after the other.

QEMU ends where a machine resets, so each start is a run of its own, and what is kept between two of them is what a
device keeps: the disk and the variables. Nothing is faster than software emulation allows (no KVM is needed).
"""

import json
import re
import shutil
import socket
import struct
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path

FIRMWARE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
VARIABLES = "/usr/share/OVMF/OVMF_VARS_4M.fd"
# Quiet, a start takes some ten seconds of one CPU.
LIMIT = 600
SECTOR = 512


class Wrong(Exception):
    """A device did what it should not."""


class Console:
    """What the console of one start said."""

    def __init__(self, path):
        self.path = path
        self.text = re.sub(r"\x1b\[[0-9;=?]*[a-zA-Z]", "", path.read_text(errors="replace")).replace("\r", "")

    def says(self, *words):
        for some in words:
            if some not in self.text:
                raise Wrong(f"{self.path} does not say: {some}")
        return self

    def says_not(self, *words):
        for some in words:
            if some in self.text:
                raise Wrong(f"{self.path} says: {some}")
        return self

    def numbers(self, name):
        """What `tell_number NAME …` told, in order."""
        return [int(number) for number in re.findall(rf"^guest: {name} (\d+)$", self.text, re.MULTILINE)]

    def status(self):
        """The last `tell_status`: `upmass status --json` of the device."""
        found = re.findall(r"^guest: status (\{.*)$", self.text, re.MULTILINE)
        if not found:
            raise Wrong(f"{self.path} has no status")
        return json.loads(found[-1])

    def runs(self, version, system="main", **expected):
        """The release that runs, and whatever else the status says."""
        status = self.status()
        attempt = status["last_attempt"] or {}
        status |= {"attempt": attempt.get("state"), "reason": attempt.get("reason")}
        expected |= {"release_version": version, "system": system}
        for key, value in expected.items():
            found = status[key]
            if found != value and not (key == "reason" and found and value and value in found):
                raise Wrong(f"{self.path}: {key} is {found!r}, expected {value!r}")
        return self


class Cut:
    """When the power fails: the console has said `words`, the disk got `written` bytes since the machine was started, and after
    that the bytes at `change` (a range of the disk) are other ones."""

    def __init__(self, words, written=0, change=None):
        self.words, self.written, self.change = words, written, change


class Device:
    """A machine with a disk of its own in `directory`."""

    def __init__(self, directory, image, variables=VARIABLES):
        self.directory = Path(directory)
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        self.disk = self.directory / "disk.img"
        self.variables = self.directory / "variables.fd"
        copy(image, self.disk)
        copy(variables, self.variables)
        self.starts = 0

    def start(self, do, *files, cut=None, arguments=(), memory=256):
        """Starts the machine and waits until it is off, resets, or its power is cut. The system runs the shell script `do` in a
        directory that has `files` (see guest/init). Gives what the console said."""
        self.starts += 1
        log = self.directory / f"{self.starts}.log"
        job = self.directory / "job.tar"
        with tarfile.open(job, "w") as tar:
            script = self.directory / "do"
            script.write_text(do)
            tar.add(script, "do")
            for file in files:
                tar.add(file, Path(file).name)
        with tempfile.TemporaryDirectory() as place:
            monitor = f"{place}/qmp"
            with subprocess.Popen([
                # No machine outlives the tests.
                "setpriv", "--pdeathsig", "KILL",
                "qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-m", str(memory), "-nodefaults", "-display", "none",
                "-no-reboot", "-serial", f"file:{log}", "-qmp", f"unix:{monitor},server=on,wait=off",
                "-drive", f"if=pflash,format=raw,readonly=on,file={FIRMWARE}",
                "-drive", f"if=pflash,format=raw,file={self.variables}",
                # A process that is killed loses nothing that it has written: flushes need not reach the host's disk.
                "-drive", f"if=none,id=disk,format=raw,cache=unsafe,file={self.disk}",
                # Not NVMe: that of QEMU 7.2 loses an interrupt at times, and then Linux waits for ever.
                "-device", "virtio-blk-pci,drive=disk",
                "-drive", f"if=none,id=job,format=raw,readonly=on,file={job}",
                "-device", "virtio-blk-pci,drive=job", *arguments,
            ]) as qemu:
                try:
                    if cut:
                        self.wait_to_cut(qemu, log, monitor, cut)
                        qemu.kill()
                    elif qemu.wait(LIMIT) != 0:
                        raise Wrong(f"{log}: QEMU ended with status {qemu.returncode}")
                except subprocess.TimeoutExpired:
                    raise Wrong(f"{log}: the machine is not done after {LIMIT} seconds") from None
                finally:
                    qemu.kill()
        return Console(log)

    def wait_to_cut(self, qemu, log, monitor, cut):
        end = time.monotonic() + LIMIT

        def wait(pause, what, is_so):
            while not is_so():
                if qemu.poll() is not None:
                    raise Wrong(f"{log}: the machine was off before {what}")
                if time.monotonic() > end:
                    raise Wrong(f"{log}: {LIMIT} seconds passed before {what}")
                time.sleep(pause)

        before = self.read(*cut.change) if cut.change else None
        wait(0.01, f"it said: {cut.words}", lambda: log.exists() and cut.words.encode() in log.read_bytes())
        if cut.written:
            with Monitor(monitor) as asked:
                wait(0.005, f"{cut.written} bytes were written", lambda: asked.written() >= cut.written)
        if cut.change:
            wait(0.0002, f"the bytes at {cut.change} changed", lambda: self.read(*cut.change) != before)

    def read(self, at, length):
        """Bytes of the disk. While the machine runs: what it has written so far."""
        with open(self.disk, "rb") as disk:
            disk.seek(at)
            return disk.read(length)

    def write(self, at, data):
        """Changes the disk, of a machine that is off."""
        with open(self.disk, "r+b") as disk:
            disk.seek(at)
            disk.write(data)

    def partition(self, name):
        """First byte and length of a partition, as the first partition table has it."""
        header = self.read(SECTOR, SECTOR)
        entries, count, size = struct.unpack_from("<QII", header, 72)
        for index in range(count):
            entry = self.read(entries * SECTOR + index * size, size)
            first, last = struct.unpack_from("<QQ", entry, 32)
            if entry[56:128].decode("utf-16-le").rstrip("\0") == name:
                return first * SECTOR, (last + 1 - first) * SECTOR
        raise Wrong(f"{self.disk} has no partition {name}")


    def slot_bytes(self, name):
        """How many bytes the file system of a boot slot takes: its tables, and all clusters that are in use."""
        start, _ = self.partition(name)
        head = self.read(start, SECTOR)
        cluster, reserved, tables = head[13] * SECTOR, *struct.unpack_from("<HB", head, 14)
        [table] = struct.unpack_from("<I", head, 36)
        entries = self.read(start + reserved * SECTOR, table * SECTOR)
        used = sum(entry != 0 for [entry] in struct.iter_unpack("<I", entries)) - 2
        return (reserved + tables * table) * SECTOR + used * cluster


class Monitor:
    """Asks QEMU while it runs."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.lines = self.socket.makefile("rw")
        self.lines.readline()
        self.ask("qmp_capabilities")

    def ask(self, command):
        self.lines.write(json.dumps({"execute": command}) + "\n")
        self.lines.flush()
        while True:
            answer = json.loads(self.lines.readline())
            if "return" in answer:
                return answer["return"]

    def written(self):
        """Bytes that were written to the disk since the machine started."""
        return next(one["stats"]["wr_bytes"] for one in self.ask("query-blockstats") if one.get("device") == "disk")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.socket.close()


def copy(source, target):
    """Copies an image; holes stay holes."""
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", source, target], check=True)
